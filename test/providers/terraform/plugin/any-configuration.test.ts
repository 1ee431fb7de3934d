import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { servedShop } from "./support/served-shop";

const { workspace } = servedShop();

const SERVERS = 25;
/** Another one each time; it is printed when the test fails. */
const seed = Math.floor(Math.random() * 2 ** 31);

const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 2 });
/** Text without templates: `${` and `%{` mean something in a configuration. */
const text = fc
  .string({ unit: "grapheme", maxLength: 20 })
  .map((value) => value.replace(/[$%]\{/g, "").normalize("NFC"));
const word = fc.stringMatching(/^[a-z]{1,6}$/);
const uniqueWords = fc.uniqueArray(word, { minLength: 1, maxLength: 4 });

/** A server's configuration, as JSON. */
const configuration = fc.record(
  {
    size: maybe(fc.integer({ min: 1, max: 9 })),
    note: maybe(text),
    image: maybe(word),
    price: maybe(fc.double({ noNaN: true, noDefaultInfinity: true, min: 1e-9, max: 1e15 })),
    count_all: maybe(fc.integer()),
    ratio: maybe(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 })),
    password: maybe(text),
    token: maybe(text),
    listen: maybe(fc.record({ port: fc.integer({ min: 1, max: 65_535 }), address: maybe(text) })),
    monitor: maybe(
      fc.record({
        path: maybe(text),
        rise: maybe(fc.integer({ min: 0, max: 9 })),
        window: maybe(fc.constant({})),
      }),
    ),
    disks: maybe(
      fc.array(fc.record({ size: fc.integer({ min: 14, max: 99 }), mount: maybe(text), kind: maybe(word) }), {
        maxLength: 3,
      }),
    ),
    links: maybe(
      fc.dictionary(text, fc.record({ target: text, weight: maybe(fc.nat(9)) }), {
        maxKeys: 3,
        noNullPrototype: true,
      }),
    ),
    users: maybe(uniqueWords.map((names) => names.map((name) => ({ name })))),
    tags: maybe(fc.dictionary(text, text, { maxKeys: 3, noNullPrototype: true })),
    zones: maybe(uniqueWords),
    ports: maybe(fc.array(fc.oneof(fc.integer(), fc.constantFrom(0.1, 0.25, -1.5)), { maxLength: 3 })),
    anything: maybe(
      fc.jsonValue({ maxDepth: 2, stringUnit: "grapheme" }).map(
        (value) =>
          JSON.parse(
            JSON.stringify(value)
              .replace(/[$%]\{/g, "")
              .replace(/-?\d+(\.\d+)?(e[+-]?\d+)?/gi, "7"),
          ) as unknown,
      ),
    ),
  },
  { noNullPrototype: true },
);

/** Numbers whose digits Terraform's own plan files change are refused; here they are not wanted. */
const plain = (value: number | undefined) => (value === undefined ? undefined : Number(value.toPrecision(6)));

test(`any configuration is created, changed to any other, and planned empty after each (seed ${seed})`, async () => {
  const w = workspace();
  const write = (configurations: Record<string, unknown>[]) =>
    writeFileSync(
      join(w.directory, "main.tf.json"),
      JSON.stringify({
        terraform: { required_providers: { shop: { source: "test/shop" } } },
        provider: { shop: { directory: w.store } },
        resource: {
          shop_server: Object.fromEntries(
            configurations.map((body, index) => [`s${index}`, { name: `s${index}`, ...body }]),
          ),
        },
      }),
    );
  const sample = (offset: number) =>
    fc
      .sample(configuration, { seed: seed + offset, numRuns: SERVERS })
      .map(({ price, ratio, ...others }) => ({
        ...others,
        price: plain(price),
        ratio: plain(ratio),
      }));
  for (const offset of [0, 1, 2]) {
    write(sample(offset));
    await w.apply();
    const again = await w.plan();
    expect(again.resource_changes.filter(({ change }) => change.actions[0] !== "no-op")).toEqual([]);
  }
  await w.ok("destroy", "-auto-approve");
  expect(w.state().resources).toEqual([]);
}, 60_000);
