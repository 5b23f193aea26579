/** Key → path, and header bytes ↔ chunk description. */
export * from './escaping.js';
export * from './generations.js';
export * from './header-template.js';
export * from './header.js';
export * from './mount.js';
export * from './paths.js';
export * from './recognise.js';
export * from './shapes.js';
export * from './shard.js';
