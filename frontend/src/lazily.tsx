import { LoadingPlaceholder } from '@grafana/ui';
import React, { Suspense, lazy, type ComponentType } from 'react';

/** A component that is loaded when it is first shown, with a word in its place until then. */
export function lazily<P extends object>(load: () => Promise<{ default: ComponentType<P> }>): ComponentType<P> {
  const Loaded = lazy(load) as unknown as ComponentType<P>;
  return function Lazily(props: P) {
    return (
      <Suspense fallback={<LoadingPlaceholder text="Loading…" />}>
        <Loaded {...props} />
      </Suspense>
    );
  };
}
