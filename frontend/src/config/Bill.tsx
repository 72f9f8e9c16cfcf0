import { Button, Field, IconButton, Input, Stack } from '@grafana/ui';
import React from 'react';

import { Choice } from '../Choice';
import { type Charge } from '../types';

type Price = 'node_type' | 'usd_per_hour' | 'rpu' | 'workers' | 'usd_per_tb';

const PRICES: Array<{ value: Price; label: string; description: string }> = [
  { value: 'node_type', label: 'Nodes', description: 'A provisioned cluster: type and number of its nodes' },
  { value: 'rpu', label: 'RPUs', description: 'Serverless Redshift' },
  { value: 'workers', label: 'Workers', description: 'A Trino or Presto cluster' },
  { value: 'usd_per_tb', label: 'Scanned bytes', description: 'Athena and others that charge what a query reads' },
  { value: 'usd_per_hour', label: 'An hour', description: 'Anything else' },
];

function priceOf(charge: Charge): Price {
  return PRICES.find(({ value }) => charge[value] !== undefined)?.value ?? 'node_type';
}

const START: Record<Price, Charge> = {
  node_type: { node_type: 'ra3.xlplus', nodes: 2 },
  rpu: { rpu: 8 },
  workers: { workers: 4, usd_per_worker_hour: 1 },
  usd_per_tb: { usd_per_tb: 5 },
  usd_per_hour: { usd_per_hour: 1 },
};

interface Props {
  bill: Charge[];
  disabled: boolean;
  onChange(bill: Charge[]): void;
}

/** What a warehouse costs: one entry for each time in which the price was one. */
export function Bill({ bill, disabled, onChange }: Props) {
  const set = (nth: number, charge: Charge) => onChange(bill.map((each, n) => (n === nth ? charge : each)));
  return (
    <Stack direction="column" gap={1}>
      {bill.map((charge, nth) => {
        const price = priceOf(charge);
        const change = (part: Charge) => set(nth, { ...charge, ...part });
        const text = (name: 'warehouse' | 'from' | 'to' | 'node_type', label: string, width: number, placeholder?: string) => (
          <Field label={label} noMargin>
            <Input aria-label={`${label} of entry ${nth + 1}`} width={width} disabled={disabled} autoComplete="off" placeholder={placeholder} value={charge[name] ?? ''} onChange={(event) => change({ [name]: event.currentTarget.value || undefined })} />
          </Field>
        );
        const number = (name: 'nodes' | 'rpu' | 'usd_per_rpu_hour' | 'workers' | 'usd_per_worker_hour' | 'usd_per_tb' | 'usd_per_hour', label: string, placeholder?: string) => (
          <Field label={label} noMargin>
            <Input aria-label={`${label} of entry ${nth + 1}`} type="number" min={0} step="any" width={14} disabled={disabled} autoComplete="off" placeholder={placeholder} value={charge[name] ?? ''} onChange={(event) => change({ [name]: event.currentTarget.value === '' ? undefined : Number(event.currentTarget.value) })} />
          </Field>
        );
        const { warehouse, from, to, discount, weight } = charge;
        return (
          <Stack key={nth} direction="row" gap={1} alignItems="flex-end" wrap="wrap">
            {text('warehouse', 'Warehouse', 16, 'its name')}
            {text('from', 'From', 24, 'the beginning')}
            {text('to', 'Until', 24, 'further notice')}
            <Field label="Charged by" noMargin>
              <Choice aria-label={`Charged by, of entry ${nth + 1}`} width={18} disabled={disabled} options={PRICES} value={price} onChange={({ value }) => set(nth, { warehouse, from, to, discount, weight, ...START[value] })} />
            </Field>
            {price === 'node_type' && (
              <>
                {text('node_type', 'Node type', 16, 'ra3.xlplus')}
                {number('nodes', 'Nodes')}
              </>
            )}
            {price === 'rpu' && (
              <>
                {number('rpu', 'RPUs')}
                {number('usd_per_rpu_hour', 'USD per RPU hour', 'list price')}
              </>
            )}
            {price === 'workers' && (
              <>
                {number('workers', 'Workers')}
                {number('usd_per_worker_hour', 'USD per worker hour')}
              </>
            )}
            {price === 'usd_per_tb' && number('usd_per_tb', 'USD per TB')}
            {price === 'usd_per_hour' && number('usd_per_hour', 'USD per hour')}
            {price !== 'usd_per_tb' && (
              <Field label="Shared by" noMargin>
                <Choice
                  aria-label={`Shared by, of entry ${nth + 1}`}
                  width={20}
                  disabled={disabled}
                  options={[
                    { value: 'exec_time', label: 'Execution time' },
                    { value: 'rows', label: 'Rows read' },
                    { value: 'bytes', label: 'Bytes read' },
                    { value: 'cpu', label: 'CPU time' },
                    { value: 'memory', label: 'Memory' },
                  ]}
                  value={weight ?? 'exec_time'}
                  onChange={({ value }) => change({ weight: value })}
                />
              </Field>
            )}
            <IconButton name="trash-alt" aria-label={`Remove entry ${nth + 1}`} tooltip="Remove" disabled={disabled} onClick={() => onChange(bill.filter((_, n) => n !== nth))} />
          </Stack>
        );
      })}
      <div>
        <Button icon="plus" variant="secondary" disabled={disabled} onClick={() => onChange([...bill, { ...START.node_type }])}>
          Add a price
        </Button>
      </div>
    </Stack>
  );
}
