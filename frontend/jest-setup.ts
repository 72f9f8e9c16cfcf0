import '@testing-library/jest-dom';

import { configure } from '@testing-library/react';
import { TextDecoder, TextEncoder } from 'util';

// Builds may be running beside the tests.
configure({ asyncUtilTimeout: 10_000 });

// What a browser has and jsdom has not.
Object.assign(global, { TextEncoder, TextDecoder });

class Observer {
  observe() {
    // Nothing is ever resized or scrolled into view here.
  }
  unobserve() {
    // As above.
  }
  disconnect() {
    // As above.
  }
}
Object.assign(global, { ResizeObserver: Observer, IntersectionObserver: Observer });
HTMLCanvasElement.prototype.getContext = (() => ({ measureText: () => ({ width: 0 }), fillText: () => undefined })) as never;
Element.prototype.scrollTo = () => undefined;
Element.prototype.getBoundingClientRect = () => new DOMRect(0, 0, 400, 400);
Object.defineProperty(HTMLElement.prototype, 'offsetHeight', { value: 400 });
Object.defineProperty(HTMLElement.prototype, 'offsetWidth', { value: 400 });
Object.defineProperty(window, 'matchMedia', {
  value: () => ({ matches: false, addListener: () => undefined, removeListener: () => undefined, addEventListener: () => undefined, removeEventListener: () => undefined }),
});
if (!('DOMRect' in global)) {
  Object.assign(global, {
    DOMRect: class {
      readonly top = 0;
      readonly left = 0;
      readonly right = 400;
      readonly bottom = 400;
      constructor(
        readonly x = 0,
        readonly y = 0,
        readonly width = 0,
        readonly height = 0
      ) {}
    },
  });
}
