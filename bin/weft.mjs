#!/bin/sh
":" /*
# For the shell, which becomes Node. It sees whether SIGHUP is ignored (nohup): Node gives every signal its default action back before any code of ours runs.
while read -r name value; do
  case "$name $value" in SigIgn:*[13579bdf]) export WEFT_SIGHUP=ignored ;; esac
done </proc/self/status
exec node "$0" "$@"
*/

// Starts the command line. Old syntax only: an older Node has to be able to read this file in order to say that it is too old.

var version = process.versions.node.split(".");
var major = Number(version[0]);

if (major < 22 || (major === 22 && Number(version[1]) < 18)) {
  process.stderr.write("weft: this Node is " + process.version + "; Weft needs Node 22.18 or newer\n");
  process.exit(1);
} else {
  import("../dist/cli/main.js").catch(function (error) {
    var main = String(new URL("../dist/cli/main.js", import.meta.url));
    var isUnbuilt = error && error.code === "ERR_MODULE_NOT_FOUND" && error.url === main;
    process.stderr.write("weft: " + (isUnbuilt ? "not built yet; run `npm run build` first" : error && error.stack) + "\n");
    process.exit(1);
  });
}
