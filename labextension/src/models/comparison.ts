// What can be compared, and how a number differs from another.

/** How many runs stand side by side. */
export const LEAST_COMPARED = 2;
export const MOST_COMPARED = 10;

/** Two to ten runs, or the runs of a group. */
export type Compared = { run_ids: readonly string[] } | { group_id: string };

const RUN_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const GROUP_ID = /^grp_[0-9a-f]{32}$/;

/** What is to be compared, of something that anybody may have written; null for what is none. */
export function parseCompared(data: unknown): Compared | null {
  if (typeof data !== 'object' || data === null) {
    return null;
  }
  const { group_id: groupId, run_ids: runIds } = data as Record<string, unknown>;
  if (typeof groupId === 'string') {
    return GROUP_ID.test(groupId) ? { group_id: groupId } : null;
  }
  if (!Array.isArray(runIds)) {
    return null;
  }
  const known = [...new Set(runIds.filter(each => typeof each === 'string' && RUN_ID.test(each)))];
  return known.length >= LEAST_COMPARED && known.length <= MOST_COMPARED
    ? { run_ids: known as string[] }
    : null;
}
