"use strict";
// Stands in for packages that an SDK names and its maths never uses: package.json replaces them by an empty one (`overrides`), and two
// of klend-sdk's its own package.json does not name.

const Module = require("node:module");
const { overrides } = require("./package.json");

const ABSENT = [...Object.keys(overrides), "@solana-program/compute-budget", "@solana-program/memo"];

/** Whatever is asked of it is itself: it can be a base class, a constant, a decorator. To be computed with, it cannot. */
const nothing = new Proxy(function absent() {}, {
  get: (target, name) => {
    if (name === "prototype") return target.prototype;
    if (name === Symbol.toPrimitive) return () => { throw new Error("a package that is not installed was computed with"); };
    return nothing;
  },
  apply: () => nothing,
  construct: () => nothing,
});

const load = Module._load;
Module._load = (request, ...rest) =>
  ABSENT.some((name) => request === name || request.startsWith(`${name}/`)) ? nothing : load(request, ...rest);
