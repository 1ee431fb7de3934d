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
  expect(said).toEqual([
    ...["a1 begins", "b begins", "a1 ends", "b ends", "a2 begins", "a2 ends"],
    ...["all begins", "all ends", "a3 begins", "a3 ends"],
  ]);
});
