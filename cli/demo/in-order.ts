import type { Timeline } from "./timeline";

/** What a site did is heard of up to a poll later than what the hook did. */
const HEARD_WITHIN_MS = 600;

/** A timeline that holds each line back for a moment, so that they come in the order of what they tell of. */
export function inOrder(timeline: Timeline): Timeline {
  let waiting: { readonly at: number; readonly tell: () => void }[] = [];
  const flush = (until: number) => {
    const due = waiting.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
    waiting = waiting.filter(({ at }) => at > until);
    for (const { tell } of due) tell();
  };
  const timer = setInterval(() => flush(Date.now() - HEARD_WITHIN_MS), 100);
  timer.unref();
  let ended = false;
  const hold = (at: number, tell: () => void) => (ended ? tell() : void waiting.push({ at, tell }));
  return {
    say: (label, text, tone, at = Date.now()) => hold(at, () => timeline.say(label, text, tone, at)),
    hook: (event) => hold(event.at, () => timeline.hook(event)),
    site: (site, event) => hold(event.at, () => timeline.site(site, event)),
    progress: (progress, at = Date.now()) => hold(at, () => timeline.progress(progress, at)),
    status: (standing) => timeline.status(standing),
    end: () => {
      ended = true;
      clearInterval(timer);
      flush(Infinity);
      timeline.end();
    },
  };
}
