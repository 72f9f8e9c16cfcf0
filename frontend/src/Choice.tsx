import { css } from '@emotion/css';
import { Combobox, MultiCombobox } from '@grafana/ui';
import React, { useId, type ComponentProps, type ReactElement } from 'react';

type Named = { 'aria-label': string };

// Grafana's own have no `aria-label`; a label that only is heard gives them a name.
function named(name: string, id: string, field: ReactElement) {
  return (
    <>
      <label className={heard} htmlFor={id}>
        {name}
      </label>
      {field}
    </>
  );
}

/** One of several values, or with `createCustomValue` another. */
export function Choice<T extends string>({ 'aria-label': name, id, ...props }: ComponentProps<typeof Combobox<T>> & Named) {
  const own = useId();
  const field = { ...props, id: id ?? own } as ComponentProps<typeof Combobox<T>>;
  return named(name, field.id ?? own, <Combobox {...field} />);
}

/** Some of several values. */
export function Choices({ 'aria-label': name, id, ...props }: ComponentProps<typeof MultiCombobox<string>> & Named) {
  const own = useId();
  const field = { ...props, id: id ?? own } as ComponentProps<typeof MultiCombobox<string>>;
  return named(name, field.id ?? own, <MultiCombobox {...field} />);
}

const heard = css({
  position: 'absolute',
  width: 1,
  height: 1,
  margin: -1,
  padding: 0,
  overflow: 'hidden',
  clipPath: 'inset(50%)',
  whiteSpace: 'nowrap',
});
