// The child process that the demo's proxy runs in: the ordinary command line, plus one thing: it ends when its parent is gone.

process.on("disconnect", () => process.kill(process.pid, "SIGTERM"));
// A listener alone would keep this process alive after the proxy's own end.
process.channel?.unref();
await import("../main.ts");
