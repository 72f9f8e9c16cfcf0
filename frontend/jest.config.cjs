// What the packages below ship is ESM, which Node's jest does not read as it stands.
const esm = ['@grafana', 'd3', 'd3-[a-z-]+', 'internmap', 'ol', 'rbush', 'quickselect', 'geotiff', 'color-[a-z-]+', 'react-colorful', 'uuid', 'marked', 'react-calendar', 'get-user-locale', 'memoize', 'mimic-function', 'delaunator', 'robust-predicates', '@msagl', 'react-data-grid', '@react-awesome-query-builder', 'is-mobile', 'earcut', 'pbf', 'lerc', 'quick-lru', 'xml-utils', 'zstddec', 'web-worker', '@wojtekmaj', 'nanoid', 'monaco-promql', '@kusto', 'i18next-pseudo', 'micro-memoize'];

module.exports = {
  testEnvironment: 'jsdom',
  testTimeout: 60_000,
  testEnvironmentOptions: { customExportConditions: ['browser', 'require'] },
  roots: ['<rootDir>/src', '<rootDir>/tests'],
  testMatch: ['**/*.test.{ts,tsx}'],
  setupFilesAfterEnv: ['<rootDir>/jest-setup.ts'],
  transform: {
    '^.+\\.(m?[jt]sx?)$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript', tsx: true }, transform: { react: { runtime: 'classic' } }, target: 'es2022' } },
    ],
  },
  transformIgnorePatterns: [`/node_modules/(?!(.*/)?(${esm.join('|')})(/|$))`],
  moduleNameMapper: {
    '\\.(css|scss|sass)$': '<rootDir>/tests/empty.cjs',
    'react-inlinesvg': '<rootDir>/tests/empty.cjs',
  },
};
