import { isIP } from "node:net";

/** One thing that is wrong with a set of answers. */
export interface AnswerProblem {
  readonly path:
    | readonly ["answers"]
    | readonly ["answers", number]
    | readonly ["answers", number, "site" | "address" | "weight" | "pool"];
  readonly problem: string;
  readonly mend: string;
}

/** An answer as far as it is known: what is not, is undefined. */
export interface KnownAnswer {
  readonly site?: string;
  readonly address?: string;
  readonly weight?: number;
  readonly pool?: string | null;
}

type RecordType = "A" | "AAAA" | "CNAME";

const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/i;

/** Is it a fully qualified domain name: at least two labels, each of 1 to 63 letters, digits, dashes (RFC 1123)? */
export function isFqdn(text: string): boolean {
  const labels = text.replace(/\.$/, "").split(".");
  const [top = ""] = labels.slice(-1);
  return (
    text.length <= 254 &&
    labels.length >= 2 &&
    labels.every((label) => LABEL.test(label)) &&
    !/^\d+$/.test(top)
  );
}

/** The type of record that an address asks for; undefined for one that is neither an address nor a name. */
export function recordType(address: string): RecordType | undefined {
  const version = isIP(address);
  if (version !== 0) return version === 4 ? "A" : "AAAA";
  return isFqdn(address) ? "CNAME" : undefined;
}

/** Everything that is wrong with a set of answers, as far as they are known. */
export function answerProblems(answers: readonly KnownAnswer[]): AnswerProblem[] {
  const problems: AnswerProblem[] = [];
  if (answers.length === 0) {
    problems.push({
      path: ["answers"],
      problem: "must have at least one answer, got none",
      mend: "A name without an answer is an outage. Remove the record to stop answering.",
    });
  }
  answers.forEach((answer, at) =>
    problems.push(...oneProblems(answer, at), ...doubleProblems(answers, answer, at)),
  );
  return [...problems, ...typeProblems(answers), ...sumProblems(answers)];
}

function oneProblems({ site, address, weight, pool }: KnownAnswer, at: number): AnswerProblem[] {
  const problems: AnswerProblem[] = [];
  if (site !== undefined && site.trim() === "") {
    problems.push({
      path: ["answers", at, "site"],
      problem: "must not be empty",
      mend: "Name the site that is answered with.",
    });
  }
  if (address !== undefined && !recordType(address)) {
    problems.push({
      path: ["answers", at, "address"],
      problem: `must be an IPv4 address, an IPv6 address or a host name, got "${address}"`,
      mend: "A record's answer carries no port: give the address alone.",
    });
  }
  if (weight !== undefined && weight === 0) {
    problems.push({
      path: ["answers", at, "weight"],
      problem: "must be 1 to 100, got 0",
      mend: "To take a site out of service, leave its answer out: some balancers still answer with weight 0.",
    });
  } else if (weight !== undefined && (!Number.isInteger(weight) || weight < 0 || weight > 100)) {
    problems.push({
      path: ["answers", at, "weight"],
      problem: `must be a whole number from 1 to 100, got ${weight}`,
      mend: "It is the percentage of users.",
    });
  }
  if (pool != null && !/^[^/#\s]+\/[^/#\s]+$/.test(pool)) {
    problems.push({
      path: ["answers", at, "pool"],
      problem: `must be a pool's id, got "${pool}"`,
      mend: "Refer to the `id` of a pool (SITE/NAME).",
    });
  }
  return problems;
}

function doubleProblems(answers: readonly KnownAnswer[], answer: KnownAnswer, at: number): AnswerProblem[] {
  return (["site", "address"] as const).flatMap((key) => {
    const value = answer[key];
    const first = answers.findIndex((other) => value !== undefined && other[key] === value);
    if (value === undefined || first === at) return [];
    return [
      {
        path: ["answers", at, key] as const,
        problem: `must be unique, got "${value}" again (first in answers[${first}])`,
        mend:
          key === "site"
            ? "Give each site one answer, and the sum of its weights."
            : "Two sites cannot share an address.",
      },
    ];
  });
}

function typeProblems(answers: readonly KnownAnswer[]): AnswerProblem[] {
  const types = answers.map(({ address }) => (address === undefined ? undefined : recordType(address)));
  const first = types.findIndex((type) => type !== undefined);
  return types.flatMap((type, at) => {
    if (type === undefined || type === types[first]) return [];
    return [
      {
        path: ["answers", at, "address"] as const,
        problem: `must be of one type with the others, got ${article(type)} "${answers[at]?.address}" beside ${article(types[first])} "${answers[first]?.address}"`,
        mend: "Resolvers treat a mixed set in their own ways, which can turn the split around: use addresses of one kind.",
      },
    ];
  });
}

function article(type: RecordType | undefined): string {
  return `${type === "CNAME" ? "a" : "an"} ${type} record`;
}

function sumProblems(answers: readonly KnownAnswer[]): AnswerProblem[] {
  const weights = answers.map(({ weight }) => weight);
  if (answers.length === 0 || weights.some((weight) => weight === undefined)) return [];
  const sum = weights.reduce<number>((total, weight) => total + (weight ?? 0), 0);
  if (sum === 100) return [];
  const parts = answers.map(({ site, weight }) => `${site ?? "?"} ${weight}`).join(" + ");
  return [
    {
      path: ["answers"],
      problem: `must have weights that add up to 100, got ${sum} (${parts})`,
      mend: "`provider::spillway::split` makes such weights from capacities.",
    },
  ];
}
