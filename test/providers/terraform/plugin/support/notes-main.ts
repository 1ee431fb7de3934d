import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  a,
  defineFunction,
  defineProvider,
  defineResource,
  Diagnostic,
  isUnknown,
  serve,
  timeouts,
} from "../../../../../providers/terraform/plugin";

interface Client {
  readonly directory: string;
}

const note = defineResource<Client>()({
  description: "A note in a file.",
  schema: {
    id: a.string().computed().keepPrior().describe("The file."),
    name: a.string().forceNew().describe("The file's name."),
    text: a
      .string()
      .check((text) => (text.length > 0 ? undefined : "must not be empty"))
      .describe("What it says."),
    author: a
      .nested({
        name: a.string().describe("Who."),
        mail: a.string().optional().describe("Where to reach them."),
      })
      .optional()
      .describe("Who says it."),
    copies: a.integer().default(1).describe("How many times it is said."),
    length: a.integer().computed().describe("Characters in the file."),
    timeouts: timeouts({ create: "1m" }),
  },

  // What can be told before the apply is told in the plan.
  modifyPlan({ plan }) {
    if (!isUnknown(plan.text) && !isUnknown(plan.copies)) plan.length = plan.text.length * plan.copies;
  },

  async create({ planned }, ctx) {
    const id = join(ctx.client.directory, planned.name);
    const content = planned.text.repeat(planned.copies);
    await writeFile(id, content, { flag: "wx", signal: ctx.signal });
    ctx.log("info", "note written", { id });
    return { ...planned, id, length: content.length };
  },

  async read({ state }) {
    const content = await readFile(state.id, "utf8").catch(() => null);
    return content === null ? null : { ...state, length: content.length };
  },

  async update({ prior, planned }, ctx) {
    const content = planned.text.repeat(planned.copies);
    await writeFile(prior.id, content, { signal: ctx.signal });
    return { ...planned, id: prior.id, length: content.length };
  },

  async delete({ state }) {
    await rm(state.id, { force: true });
  },
});

const shout = defineFunction({
  summary: "Says it louder",
  description: "The text in capitals.",
  parameters: { text: a.string().describe("What to say.") },
  returns: a.string(),
  call: ({ text }) => text.toUpperCase(),
});

void serve(
  defineProvider({
    name: "notes",
    version: "0.1.0",
    description: "Notes in files.",
    config: { directory: a.string().describe("Where the notes are.") },
    configure({ directory }): Client {
      if (isUnknown(directory)) {
        throw new Diagnostic({ summary: "`directory` must be known at plan time", path: ["directory"] });
      }
      return { directory };
    },
    resources: { notes_note: note },
    functions: { shout },
  }),
);
