import { type ScopedVars } from '@grafana/data';

import { type Templates } from '../src/text/variables';

/** Grafana's replacement of variables, as far as it is said in its documentation: a function formats the value. */
export function templates(values: Record<string, string | string[]>): Templates {
  const pattern = /\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?::(\w+))?\}/g;
  return {
    getVariables: () => Object.entries(values).map(([name, value]) => ({ name, type: 'query', current: { value } })) as never,
    replace: (text = '', scoped?: ScopedVars, format?: string | ((value: unknown) => string)) =>
      text.replace(pattern, (found: string, a?: string, b?: string, bFormat?: string, c?: string, cFormat?: string) => {
        const name = a ?? b ?? c ?? '';
        const value = (scoped?.[name]?.value as string | string[] | undefined) ?? values[name];
        if (value === undefined) {
          return found;
        }
        const how = bFormat ?? cFormat ?? format;
        return typeof how === 'function' ? how(value) : String(value);
      }),
  };
}
