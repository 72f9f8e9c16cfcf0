import { type DataSourcePluginOptionsEditorProps } from '@grafana/data';
import { ConfigSection } from '@grafana/plugin-ui';
import { Combobox, Divider, Field, Input, SecretInput, SecretTextArea, Switch, TagsInput, TextArea } from '@grafana/ui';
import React, { useId } from 'react';

import { type LakeSecrets, type LakeSettings } from '../types';
import { Bill } from './Bill';
import { Rules } from './Rules';
import { WAREHOUSES, warehouseOf, type Part } from './warehouses';

type Props = DataSourcePluginOptionsEditorProps<LakeSettings, LakeSecrets>;

const WIDTH = 50;

/** What a person sets of a data source: first the warehouse, and of it no more than is needed. */
export default function ConfigEditor({ options, onOptionsChange }: Props) {
  const id = useId();
  const settings = options.jsonData;
  const disabled = Boolean(options.readOnly);
  const warehouse = warehouseOf(settings.warehouse);
  const set = (part: Partial<LakeSettings>) => onOptionsChange({ ...options, jsonData: { ...settings, ...part } });
  const field = (name: string) => `${id}-${name}`;

  const setSecret = (name: keyof LakeSecrets, value: string) =>
    onOptionsChange({ ...options, secureJsonData: { ...options.secureJsonData, [name]: value } });
  const resetSecret = (name: keyof LakeSecrets) =>
    onOptionsChange({
      ...options,
      secureJsonFields: { ...options.secureJsonFields, [name]: false },
      secureJsonData: { ...options.secureJsonData, [name]: '' },
    });
  const secret = (name: keyof LakeSecrets) => ({
    id: field(name),
    width: WIDTH,
    disabled,
    // A browser must not fill in the password of the page.
    autoComplete: 'new-password',
    'data-1p-ignore': true,
    'data-lpignore': 'true',
    isConfigured: Boolean(options.secureJsonFields?.[name]),
    value: options.secureJsonData?.[name] ?? '',
    onChange: (event: React.FormEvent<HTMLInputElement | HTMLTextAreaElement>) => setSecret(name, event.currentTarget.value),
    onReset: () => resetSecret(name),
  });
  const text = (name: 'host' | 'database' | 'user' | 'history' | 'session_gap', placeholder?: string) => (
    <Input
      id={field(name)}
      width={WIDTH}
      disabled={disabled}
      autoComplete="off"
      placeholder={placeholder}
      value={settings[name] ?? ''}
      onChange={(event) => set({ [name]: event.currentTarget.value || undefined })}
    />
  );
  const number = (value: number | undefined, name: string, placeholder: string, change: (value: number | undefined) => void) => (
    <Input
      id={field(name)}
      type="number"
      min={1}
      width={20}
      disabled={disabled}
      autoComplete="off"
      placeholder={placeholder}
      value={value ?? ''}
      onChange={(event) => change(event.currentTarget.value === '' ? undefined : Number(event.currentTarget.value))}
    />
  );

  const iam = settings.auth === 'iam';
  const aws = (name: 'cluster' | 'workgroup' | 'role', label: string, help: string) => (
    <Field key={name} label={label} description={help} htmlFor={field(name)} disabled={disabled}>
      <Input
        id={field(name)}
        width={WIDTH}
        disabled={disabled}
        autoComplete="off"
        value={settings.aws?.[name] ?? ''}
        onChange={(event) => set({ aws: { ...settings.aws, [name]: event.currentTarget.value || undefined } })}
      />
    </Field>
  );
  const login = (
    <React.Fragment key="login">
      <Field label="Login" htmlFor={field('auth')} disabled={disabled}>
        <Combobox
          id={field('auth')}
          width={WIDTH}
          disabled={disabled}
          options={[
            { value: 'password', label: 'Password', description: 'Of a database user' },
            { value: 'iam', label: 'AWS IAM', description: 'Temporary credentials; no password is kept' },
          ]}
          value={settings.auth ?? 'password'}
          onChange={({ value }) => set({ auth: value })}
        />
      </Field>
      {iam ? (
        <>
          {aws('cluster', 'Cluster', 'Its identifier, if the host is not its own address.')}
          {aws('workgroup', 'Workgroup', 'Of Serverless, if the host is not its own address.')}
          {aws('role', 'Role', 'The ARN of a role to assume. Empty stays who the keys, or the server, are.')}
          <Field label="AWS access key" description="Empty takes the server's own credentials." htmlFor={field('aws_access_key')} disabled={disabled}>
            <SecretInput {...secret('aws_access_key')} />
          </Field>
          <Field label="AWS secret key" htmlFor={field('aws_secret_key')} disabled={disabled}>
            <SecretInput {...secret('aws_secret_key')} />
          </Field>
        </>
      ) : (
        <Field label="Password" required htmlFor={field('password')} disabled={disabled}>
          <SecretInput {...secret('password')} />
        </Field>
      )}
    </React.Fragment>
  );

  const part = (which: Part, needed: boolean, placeholder?: string, help?: string) =>
    which === 'login' ? (
      login
    ) : (
      <Field key={which} label={LABELS[which]} description={help} required={needed} htmlFor={field(which)} disabled={disabled}>
        {text(which, placeholder)}
      </Field>
    );

  return (
    <>
      <p>
        Queries are read from the warehouse&apos;s own records, or from a history of them.
        {warehouse?.fields.some(({ needed }) => needed) ? ' Fields marked with * are needed.' : ''}
      </p>
      <Divider />
      <ConfigSection title="Warehouse">
        <Field label="Warehouse" description={warehouse?.description} htmlFor={field('warehouse')} disabled={disabled}>
          <Combobox
            id={field('warehouse')}
            width={WIDTH}
            disabled={disabled}
            options={warehouse ? WAREHOUSES : [{ value: settings.warehouse ?? '', label: settings.warehouse }, ...WAREHOUSES]}
            value={settings.warehouse || 'demo'}
            onChange={({ value }) => set({ warehouse: value })}
          />
        </Field>
        {warehouse?.fields.map((each) => part(each.part, each.needed ?? false, each.placeholder, each.help))}
      </ConfigSection>

      {warehouse?.tls && (
        <>
          <Divider />
          <ConfigSection title="Connection" isCollapsible isInitiallyOpen={Boolean(settings.port || settings.tls)}>
            <Field label="Port" htmlFor={field('port')} disabled={disabled}>
              {number(settings.port, 'port', String(warehouse.port ?? ''), (port) => set({ port }))}
            </Field>
            <Field label="TLS" description="Verified is right for every managed warehouse." htmlFor={field('tls')} disabled={disabled}>
              <Combobox
                id={field('tls')}
                width={WIDTH}
                disabled={disabled}
                options={[
                  { value: 'verify', label: 'Verified', description: "The server's certificate and its name are checked" },
                  { value: 'verify-ca', label: 'Verified authority', description: 'The certificate, but not its name: through a tunnel' },
                  { value: 'require', label: 'Encrypted', description: 'Any certificate is taken' },
                  { value: 'disable', label: 'Off', description: 'Only inside a network you trust' },
                ]}
                value={settings.tls?.mode ?? 'verify'}
                onChange={({ value }) => set({ tls: { ...settings.tls, mode: value } })}
              />
            </Field>
            <Field label="CA certificate" description="In PEM, if the server's certificate is signed by an authority of your own." htmlFor={field('ca')} disabled={disabled}>
              <TextArea
                id={field('ca')}
                cols={WIDTH}
                rows={4}
                disabled={disabled}
                autoComplete="off"
                placeholder="-----BEGIN CERTIFICATE-----"
                value={settings.tls?.ca ?? ''}
                onChange={(event) => set({ tls: { ...settings.tls, ca: event.currentTarget.value || undefined } })}
              />
            </Field>
          </ConfigSection>
        </>
      )}

      {warehouse && warehouse.value !== 'demo' && warehouse.value !== 'history' && (
        <>
          <Divider />
          <ConfigSection
            title="History"
            description="A copy of what the warehouse recorded of its queries. It answers faster, keeps more than the warehouse does and puts no load on it."
            isCollapsible
            isInitiallyOpen={Boolean(settings.history || settings.mode)}
          >
            <Field label="Folder" description="A folder on the Grafana server, with its whole path, or an address s3://bucket/folder, that a collector writes to. Empty asks the warehouse itself." htmlFor={field('history')} disabled={disabled}>
              {text('history', '/var/lib/lakeapm/history')}
            </Field>
            <Field
              label="Wake a serverless workgroup"
              description="Alert rules and panels that refresh by themselves may ask a workgroup that sleeps, which is then paid for. Off, the history answers them."
              htmlFor={field('allow_wake')}
              disabled={disabled}
            >
              <Switch
                id={field('allow_wake')}
                disabled={disabled}
                value={settings.allow_wake ?? false}
                onChange={(event) => set({ allow_wake: event.currentTarget.checked || undefined })}
              />
            </Field>
          </ConfigSection>
        </>
      )}

      <Divider />
      <ConfigSection
        title="Cost"
        description="What the warehouse costs, and when. It is shared by who was active in each second; what nobody used is idle."
        isCollapsible
        isInitiallyOpen={Boolean(settings.bill?.length)}
      >
        <Bill bill={settings.bill ?? []} disabled={disabled} onChange={(bill) => set({ bill: bill.length ? bill : undefined })} />
      </ConfigSection>

      <Divider />
      <ConfigSection
        title="Annotation rules"
        description="The formats of tools are read as they are. Rules of your own fill what they leave open, or say whose queries are."
        isCollapsible
        isInitiallyOpen={Boolean(settings.rules?.length)}
      >
        <Rules uid={options.uid} rules={settings.rules ?? []} disabled={disabled} onChange={(rules) => set({ rules: rules.length ? rules : undefined })} />
        <Field label="Names" description="CSV files on the Grafana server that say what values are called and whose they are." htmlFor={field('names')} disabled={disabled}>
          <TagsInput
            id={field('names')}
            width={WIDTH}
            disabled={disabled}
            placeholder="/etc/lakeapm/people.csv, then Enter"
            tags={(settings.names ?? []).filter((each) => typeof each === 'string')}
            onChange={(files) => {
              const names = [...files, ...(settings.names ?? []).filter((each) => typeof each !== 'string')];
              set({ names: names.length ? names : undefined });
            }}
          />
        </Field>
        <Field label="Gap between runs" description="A run without an id ends where nothing ran for so long." htmlFor={field('session_gap')} disabled={disabled}>
          {text('session_gap', '10m')}
        </Field>
        <Field label="Key of hashed people" description="Only where people are stored hashed: keep it, for with another key everybody is somebody new." htmlFor={field('people_key')} disabled={disabled}>
          <SecretTextArea {...secret('people_key')} width={undefined} cols={WIDTH} rows={1} />
        </Field>
      </ConfigSection>

      <Divider />
      <ConfigSection title="Limits" description="What one question may use, and who sees SQL." isCollapsible isInitiallyOpen={Boolean(settings.limits ?? settings.texts)}>
        <Field label="Texts of queries" description="The least role in Grafana that sees the SQL of queries, which holds people's data." htmlFor={field('texts')} disabled={disabled}>
          <Combobox
            id={field('texts')}
            width={20}
            disabled={disabled}
            options={[
              { value: 'viewer', label: 'Viewer' },
              { value: 'editor', label: 'Editor' },
              { value: 'admin', label: 'Admin' },
            ]}
            value={settings.texts ?? 'editor'}
            onChange={({ value }) => set({ texts: value as LakeSettings['texts'] })}
          />
        </Field>
        <Field label="Rows" description="More are cut, and the panel says so." htmlFor={field('rows')} disabled={disabled}>
          {number(settings.limits?.rows, 'rows', '1000000', (rows) => set({ limits: { ...settings.limits, rows } }))}
        </Field>
        <Field label="Timeout in seconds" description="Alert rules have less than 30 s in any case, which is Grafana's own limit." htmlFor={field('timeout')} disabled={disabled}>
          {number(settings.limits?.timeout, 'timeout', '60', (timeout) => set({ limits: { ...settings.limits, timeout } }))}
        </Field>
      </ConfigSection>
    </>
  );
}

const LABELS: Record<Exclude<Part, 'login'>, string> = {
  host: 'Host',
  database: 'Database',
  user: 'User',
  history: 'Folder of the history',
};
