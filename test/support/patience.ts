/**
 * How long tests wait, in milliseconds. They run on machines that may be ten times slower than usual, or whose disk takes
 * seconds to sync; what hangs still ends.
 */

/** For a test or a hook. */
export const TEST_MS = 180_000;
/** For a condition: less than a test has, so that the failure says which condition it was. */
export const CONDITION_MS = 60_000;
