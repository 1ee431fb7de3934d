import * as fc from "fast-check";
import { ScanOrder } from "../../../../lib/image/near/scan-order";

function allOf(order: ScanOrder, hungry: (turn: number) => boolean): number[] {
  const taken: number[] = [];
  for (let part; (part = order.take(hungry(taken.length))) !== undefined;) taken.push(part);
  return taken;
}

describe("the order in which an image is read", () => {
  it("is that of its bytes while the link has enough", () => {
    expect(allOf(new ScanOrder(5, () => true), () => false)).toEqual([0, 1, 2, 3, 4]);
  });

  it("begins with what is likely new while the link would wait", () => {
    const order = new ScanOrder(6, (part) => part >= 3 && part !== 4);
    expect(allOf(order, (turn) => turn < 1)).toEqual([3, 0, 1, 2, 4, 5]);
    const again = new ScanOrder(6, (part) => part >= 3 && part !== 4);
    expect(allOf(again, () => true)).toEqual([3, 5, 0, 1, 2, 4]);
  });

  it("has every part once, and never says that it went past one that it did not", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ isNew: fc.boolean(), isHungry: fc.boolean() }), { maxLength: 200 }),
        (parts) => {
          const order = new ScanOrder(parts.length, (part) => parts[part].isNew);
          const taken = new Set<number>();
          for (let turn = 0; turn < parts.length; turn++) {
            const part = order.take(parts[turn].isHungry);
            expect(part).toBeDefined();
            expect(taken.has(part as number)).toBe(false);
            taken.add(part as number);
            for (let before = 0; before < order.reached; before++) expect(taken.has(before)).toBe(true);
          }
          expect(order.take(true)).toBeUndefined();
          expect(order.reached).toBe(parts.length);
        },
      ),
    );
  });
});
