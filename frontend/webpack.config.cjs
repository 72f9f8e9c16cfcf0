// Builds the plugin as Grafana loads it: one AMD module, with what Grafana brings itself left out.

const path = require('path');
const fs = require('fs');
const { execFileSync } = require('child_process');
const CopyPlugin = require('copy-webpack-plugin');

const own = JSON.parse(fs.readFileSync(path.join(__dirname, 'package.json'), 'utf8'));
const plugin = JSON.parse(fs.readFileSync(path.join(__dirname, 'src/plugin.json'), 'utf8'));
const root = path.resolve(__dirname, '..');

/** The day of the last commit, so that one commit always builds the same plugin. */
function day() {
  try {
    return execFileSync('git', ['log', '-1', '--format=%cs'], { cwd: root, encoding: 'utf8' }).trim();
  } catch {
    return new Date().toISOString().slice(0, 10);
  }
}

const stamp = (content) => content.toString().replaceAll('%VERSION%', own.version).replaceAll('%TODAY%', day());

// The modules Grafana hands to plugins (its `sharedDependenciesMap`).
const provided = [
  'lodash',
  'jquery',
  'moment',
  'slate',
  'emotion',
  '@emotion/react',
  '@emotion/css',
  'prismjs',
  'slate-plain-serializer',
  '@grafana/slate-react',
  'react',
  'react-dom',
  'react-redux',
  'redux',
  'rxjs',
  'rxjs/operators',
  'i18next',
  'react-router',
  'd3',
  'angular',
  '@grafana/ui',
  '@grafana/runtime',
  '@grafana/data',
];

module.exports = (_env, { mode }) => ({
  mode,
  context: path.join(__dirname, 'src'),
  entry: { module: './module.ts' },
  devtool: mode === 'production' ? 'source-map' : 'eval-source-map',
  externals: [
    // AMD's own description of the module, by which it knows where it was loaded from.
    { 'amd-module': 'module' },
    ...provided,
    // Grafana's own modules under an older prefix, which dependencies may still name.
    ({ request }, done) => (request.startsWith('grafana/') ? done(null, request.slice('grafana/'.length)) : done()),
  ],
  output: {
    path: path.join(__dirname, 'dist'),
    filename: '[name].js',
    chunkFilename: '[name].[contenthash:8].js',
    library: { type: 'amd' },
    publicPath: `public/plugins/${plugin.id}/`,
    uniqueName: plugin.id,
    // The backend's programs are put beside by the packaging.
    clean: { keep: /gpx_/ },
    crossOriginLoading: 'anonymous',
  },
  resolve: { extensions: ['.ts', '.tsx', '.js', '.mjs'] },
  module: {
    rules: [
      {
        test: /\.[jt]sx?$/,
        exclude: /node_modules/,
        use: {
          loader: 'swc-loader',
          options: {
            jsc: {
              parser: { syntax: 'typescript', tsx: true },
              // The classic runtime: Grafana gives plugins `react`, and `react/jsx-runtime` only in some versions.
              transform: { react: { runtime: 'classic' } },
              target: 'es2020',
            },
          },
        },
      },
    ],
  },
  plugins: [
    new CopyPlugin({
      patterns: [
        { from: 'plugin.json', transform: stamp },
        { from: 'README.md' },
        { from: 'img', to: 'img' },
        { from: path.join(root, 'docs/pictures'), to: 'img/pictures', filter: (file) => file.endsWith('.png') },
        { from: path.join(root, 'dashboards'), to: 'dashboards', filter: (file) => file.endsWith('.json') },
        { from: path.join(root, 'CHANGELOG.md') },
        { from: path.join(root, 'LICENSE'), to: 'LICENSE', toType: 'file' },
      ],
    }),
  ],
  performance: { hints: false },
  stats: 'errors-warnings',
});
