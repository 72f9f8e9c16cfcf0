// What the backend is asked beside panel queries: names, values, and everything about the text of a panel query.

import { type TimeRange } from '@grafana/data';

import { type Ast } from './query/ast';

export interface Measure {
  name: string;
  title: string;
  unit: string;
  class: string;
  aggregates: string[];
  about?: string;
}

export interface Dimension {
  name: string;
  title?: string;
  about?: string;
  /** Where it comes from: annotations in one meaning for every tool, the warehouse, tables, or a fact of the query. */
  origin: 'canonical' | 'native' | 'tables' | 'fact';
  /** Whether groups can be made of it; conditions take every one. */
  groups: boolean;
}

/** What is wrong with a text, and where in it. */
export interface Mistake {
  message: string;
  from: number;
  to: number;
  nearest?: string | null;
}

/** A tree, a mistake, or both where only a name is unknown. */
export interface Parsed {
  ast?: Ast;
  error?: Mistake;
}

export interface Completion {
  label: string;
  insert: string;
  from: number;
  to: number;
  kind: string;
  about?: string;
}

/** A value, or a raw key as it is written in a panel query, and how often it is used where that is known. */
export interface Used {
  value: string;
  text: string;
  queries?: number;
}

export interface ResourceClient {
  getResource(path: string, params?: Record<string, unknown>): Promise<unknown>;
  postResource(path: string, body?: unknown): Promise<unknown>;
}

/** The resources of one data source. */
export class Backend {
  private kept = new Map<string, Promise<unknown>>();

  constructor(private readonly client: ResourceClient) {}

  measures(): Promise<Measure[]> {
    return this.once('measures');
  }

  dimensions(): Promise<Dimension[]> {
    return this.once('dimensions');
  }

  async annotationKeys(range?: TimeRange): Promise<Used[]> {
    return (await this.client.getResource('annotation-keys', bounds(range))) as Used[];
  }

  async values(dimension: string, prefix = '', where?: string, range?: TimeRange): Promise<Used[]> {
    const params = { dimension, prefix: prefix || undefined, where: where || undefined, ...bounds(range) };
    return (await this.client.getResource('values', params)) as Used[];
  }

  async tagKeys(range?: TimeRange): Promise<Used[]> {
    return (await this.client.getResource('tag-keys', bounds(range))) as Used[];
  }

  async tagValues(key: string, where?: string, range?: TimeRange): Promise<Used[]> {
    return (await this.client.getResource('tag-values', { key, where: where || undefined, ...bounds(range) })) as Used[];
  }

  async parse(query: string): Promise<Parsed> {
    return (await this.client.postResource('parse', { query })) as Parsed;
  }

  async format(ast: Ast): Promise<string> {
    return ((await this.client.postResource('format', { ast })) as { query: string }).query;
  }

  async complete(query: string, cursor: number): Promise<Completion[]> {
    return (await this.client.postResource('complete', { query, cursor })) as Completion[];
  }

  async sql(query: string, range?: TimeRange, timezone?: string): Promise<string> {
    const answer = (await this.client.postResource('sql', { query, timezone, ...bounds(range) })) as { sql?: string; error?: Mistake };
    if (answer.sql === undefined) {
      throw answer.error ?? new Error('no SQL');
    }
    return answer.sql;
  }

  /** An answer that stays the same as long as the page is open; a failure is asked again. */
  private once<T>(path: string): Promise<T> {
    let answer = this.kept.get(path);
    if (!answer) {
      answer = this.client.getResource(path).catch((error: unknown) => {
        this.kept.delete(path);
        throw error;
      });
      this.kept.set(path, answer);
    }
    return answer as Promise<T>;
  }
}

function bounds(range?: TimeRange): { from?: string; to?: string } {
  return range ? { from: range.from.toISOString(), to: range.to.toISOString() } : {};
}

/** The sentence of a failed request: what the backend said, not what the transport calls it. */
export function sentence(error: unknown): string {
  const known = error as { data?: { error?: unknown; message?: unknown }; message?: unknown; statusText?: unknown } | undefined;
  const inner = known?.data?.error as { message?: unknown } | string | undefined;
  const found = (typeof inner === 'object' ? inner?.message : inner) ?? known?.data?.message ?? known?.message ?? known?.statusText;
  return typeof found === 'string' && found !== '' ? found : 'The backend of the data source did not answer.';
}
