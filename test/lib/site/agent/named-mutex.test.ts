import { NamedMutex } from "../../../../lib/site/agent/named-mutex";

test("work at one name goes in turn, at two at once, and work on all alone; a failure holds up nobody", async () => {
  const mutex = new NamedMutex();
  const said: string[] = [];
  const work =
    (what: string, fails = false) =>
    async () => {
      said.push(`${what} begins`);
      await new Promise((done) => setTimeout(done, 10));
      said.push(`${what} ends`);
      if (fails) throw new Error(what);
    };
  const first = mutex.at("a", work("a1", true));
  await Promise.all([
    expect(first).rejects.toThrow("a1"),
    mutex.at("b", work("b")),
    mutex.at("a", work("a2")),
    mutex.run(work("all")),
    mutex.at("a", work("a3")),
  ]);
  const of = (...what: string[]) => said.filter((word) => what.includes(word.split(" ")[0] as string));
  expect(of("a1", "a2", "all", "a3")).toEqual(
    ["a1", "a2", "all", "a3"].flatMap((what) => [`${what} begins`, `${what} ends`]),
  );
  expect(said.indexOf("b begins")).toBeLessThan(said.indexOf("a1 ends"));
  expect(said.indexOf("b ends")).toBeLessThan(said.indexOf("all begins"));
});
