// Where Grafana loaded this module from, so that the editors, which are loaded later, come from there too.
import amd from 'amd-module';

declare let __webpack_public_path__: string;

if (amd?.uri) {
  // eslint-disable-next-line @typescript-eslint/no-unused-vars -- webpack reads it
  __webpack_public_path__ = amd.uri.slice(0, amd.uri.lastIndexOf('/') + 1);
}
