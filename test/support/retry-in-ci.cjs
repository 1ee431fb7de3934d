/**
 * In CI a test that failed is tried once more, and its first failure is printed: these tests kill real processes at chosen moments on a
 * machine that is shared. At a desk nothing is tried twice.
 */
if (process.env.CI) jest.retryTimes(1, { logErrorsBeforeRetry: true });
