#!/usr/bin/env node
// A native-looking `solc` for forge around the WebAssembly compiler of the npm package.
// forge uses two calls only: `--version`, and `--standard-json` with the input on stdin.
'use strict';

const fs = require('fs');
const path = require('path');
const solc = require(path.join(__dirname, 'node_modules', 'solc'));

const args = process.argv.slice(2);

/** All values of a repeated option, as `--name value` or `--name=value`. */
function values(name) {
  return args.flatMap((arg, i) => {
    if (arg === name) return [args[i + 1]];
    return arg.startsWith(`${name}=`) ? [arg.slice(name.length + 1)] : [];
  });
}

function resolveImport(file) {
  const roots = [...values('--base-path'), ...values('--include-path'), process.cwd()];
  const found = roots.map((root) => path.resolve(root, file)).find((full) => fs.existsSync(full));
  return found ? { contents: fs.readFileSync(found, 'utf8') } : { error: `file not found: ${file}` };
}

if (args.includes('--version')) {
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`);
} else if (args.includes('--standard-json')) {
  const output = solc.compile(fs.readFileSync(0, 'utf8'), { import: resolveImport });
  // Exit only after the pipe has taken everything: the output is several megabytes.
  process.stdout.write(output, () => process.exit(0));
} else {
  process.stderr.write(`solc.js: unsupported arguments: ${args.join(' ')}\n`);
  process.exitCode = 1;
}
