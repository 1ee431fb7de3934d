import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Journal, readJournal } from "../../../lib/hook";
import { initialState } from "../../../lib/policy";

const QUIET = { burst: false, cloudMembers: 1, weights: { onprem: 100 } };
const PARAMETERS = {
  burst: true,
  cloud_members: 2,
  weights: { cloud: 100 },
  image_digest: null,
  reason: "why",
};

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "spillway-journal-"));
  file = join(folder, "journal.jsonl");
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("what is written is found again, in order, with growing numbers", () => {
  const journal = Journal.open(file);
  const state = initialState(QUIET, 1);
  journal.append({ kind: "remembered", state }, 10);
  journal.append({ kind: "flipped", parameters: PARAMETERS }, 11);
  journal.append({ kind: "applying", terraform: { pid: 7, startTime: "then" } }, 12);
  journal.close();
  const again = Journal.open(file);
  expect(again.recovered).toEqual({
    lastSeq: 3,
    state,
    parameters: PARAMETERS,
    applying: { pid: 7, startTime: "then" },
  });
  again.append({ kind: "applied", changed: true, state }, 13);
  again.close();
  expect(readJournal(file).entries.map(({ seq, at, kind }) => [seq, at, kind])).toEqual([
    [1, 10, "remembered"],
    [2, 11, "flipped"],
    [3, 12, "applying"],
    [4, 13, "applied"],
  ]);
  const last = Journal.open(file);
  expect(last.recovered.applying).toBeUndefined();
  last.close();
});

test("a tail that a crash tore off is cut away, at whatever byte it was torn", () => {
  const journal = Journal.open(file);
  journal.append({ kind: "flipped", parameters: { ...PARAMETERS, reason: "grün → schön" } }, 1);
  journal.append({ kind: "stopped" }, 2);
  journal.close();
  const whole = readFileSync(file);
  for (let bytes = 0; bytes < whole.length; bytes++) {
    writeFileSync(file, whole.subarray(0, bytes));
    const torn = Journal.open(file);
    const { lastSeq } = torn.recovered;
    torn.append({ kind: "started", mode: "apply", pid: 1 }, 3);
    torn.close();
    const { entries, keep } = readJournal(file);
    expect(entries.map(({ kind }) => kind)).toEqual([...["flipped", "stopped"].slice(0, lastSeq), "started"]);
    expect(keep).toBe(statSync(file).size);
  }
});

test("a line that is none is passed over", () => {
  writeFileSync(file, 'nonsense\n{"seq":1,"at":1,"kind":"stopped"}\nnull\n42\n{"kind":"stopped"}\n');
  appendFileSync(file, "");
  const journal = Journal.open(file);
  expect(journal.recovered.lastSeq).toBe(1);
  journal.close();
});

test("a large journal is begun anew, keeps the old one, and loses nothing that counts", () => {
  const journal = Journal.open(file, { largestBytes: 500 });
  const state = initialState(QUIET, 1);
  for (let index = 0; index < 10; index++) journal.append({ kind: "remembered", state }, index);
  journal.rotateIfLarge([{ kind: "adopted", parameters: PARAMETERS, state }], 20);
  journal.close();
  expect(readJournal(`${file}.1`).entries).toHaveLength(10);
  const again = Journal.open(file, { largestBytes: 500 });
  expect(again.recovered).toMatchObject({ lastSeq: 11, state, parameters: PARAMETERS });
  again.close();
});

test("a state of a later version is not guessed at", () => {
  const journal = Journal.open(file);
  const state = { ...initialState(QUIET, 1), version: 2 as unknown as 1 };
  journal.append({ kind: "remembered", state }, 1);
  journal.close();
  const again = Journal.open(file);
  expect(again.recovered.state).toBeUndefined();
  again.close();
});
