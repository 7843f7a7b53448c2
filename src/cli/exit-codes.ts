// The exit codes of the command line; 0 is success.

/** Whatever has no code of its own. */
export const FAILURE = 1;
/** Options or a configuration that a proxy cannot run with (EX_USAGE, and what Linkerd's proxy says). */
export const BAD_CONFIGURATION = 64;
