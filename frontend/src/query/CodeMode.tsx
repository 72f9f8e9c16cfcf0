import { css } from '@emotion/css';
import { type GrafanaTheme2 } from '@grafana/data';
import { CodeEditor, useStyles2, type Monaco, type MonacoEditor } from '@grafana/ui';
import React, { useEffect, useRef, useState } from 'react';

import { sentence, type Backend, type Mistake } from '../backend';
import { replaceVariables, type Templates } from '../text/variables';
import { LANGUAGE, attach, register } from './language';

interface Props {
  apm: Backend;
  templates: Templates;
  text: string;
  onChange(text: string): void;
  onRun(): void;
}

/** The panel query as text, with completion, help and errors where they stand. */
export function CodeMode({ apm, templates, text, onChange, onRun }: Props) {
  const styles = useStyles2(getStyles);
  const [editor, setEditor] = useState<{ editor: MonacoEditor; monaco: Monaco }>();
  const [mistake, setMistake] = useState<Mistake>();
  const [written, setWritten] = useState(text);
  const [given, setGiven] = useState(text);
  if (text !== given) {
    setGiven(text);
    setWritten(text);
  }
  const run = useRef<(text: string) => void>(() => undefined);

  useEffect(() => {
    run.current = (now) => {
      onChange(now);
      onRun();
    };
  }, [onChange, onRun]);

  useEffect(() => {
    const model = editor?.editor.getModel();
    return model ? attach(model, { apm, templates }) : undefined;
  }, [editor, apm, templates]);

  // What the backend says of the text, shortly after the last key.
  useEffect(() => {
    let stale = false;
    const timer = setTimeout(async () => {
      const replaced = replaceVariables(written, templates);
      let found: Mistake | undefined;
      if (written.trim() !== '') {
        try {
          const parsed = await apm.parse(replaced.text);
          if (parsed.error) {
            const [from, to] = [replaced.toSource(parsed.error.from), replaced.toSource(parsed.error.to)];
            found = { ...parsed.error, from, to: Math.max(to, from + 1) };
          }
        } catch (error) {
          found = { message: sentence(error), from: 0, to: 0 };
        }
      }
      if (!stale) {
        setMistake(found);
      }
    }, 250);
    return () => {
      stale = true;
      clearTimeout(timer);
    };
  }, [written, apm, templates]);

  useEffect(() => {
    const model = editor?.editor.getModel();
    if (!editor || !model) {
      return;
    }
    const places = mistake && mistake.to > mistake.from ? [mistake] : [];
    editor.monaco.editor.setModelMarkers(
      model,
      LANGUAGE,
      places.map(({ from, to, message }) => {
        // At the end of the text there is nothing to underline but the word before.
        const start = model.getPositionAt(Math.min(from, Math.max(0, model.getValueLength() - 1)));
        const end = model.getPositionAt(to);
        return {
          severity: editor.monaco.MarkerSeverity.Error,
          message,
          startLineNumber: start.lineNumber,
          startColumn: start.column,
          endLineNumber: end.lineNumber,
          endColumn: end.column,
        };
      })
    );
  }, [editor, mistake]);

  const lines = Math.min(8, Math.max(2, written.split('\n').length + Math.floor(written.length / 120)));
  return (
    <div>
      <CodeEditor
        language={LANGUAGE}
        value={text}
        height={`${lines * 19 + 14}px`}
        showLineNumbers={false}
        showMiniMap={false}
        onBeforeEditorMount={register}
        onEditorDidMount={(mounted, monaco) => {
          setEditor({ editor: mounted, monaco });
          mounted.onDidChangeModelContent(() => setWritten(mounted.getValue()));
          mounted.addAction({
            id: 'lakeapm-run',
            label: 'Run query',
            keybindings: [monaco.KeyMod.CtrlCmd | monaco.KeyCode.Enter, monaco.KeyMod.Shift | monaco.KeyCode.Enter],
            run: () => run.current(mounted.getValue()),
          });
        }}
        onBlur={(now) => now !== text && run.current(now)}
        monacoOptions={{
          wordWrap: 'on',
          lineNumbers: 'off',
          folding: false,
          glyphMargin: false,
          lineDecorationsWidth: 8,
          padding: { top: 6, bottom: 6 },
          overviewRulerLanes: 0,
          renderLineHighlight: 'none',
          scrollBeyondLastLine: false,
          quickSuggestions: { other: true, strings: true, comments: false },
          suggest: { showWords: false },
          fixedOverflowWidgets: true,
          // Tab goes on to the next field, as everywhere in Grafana.
          tabFocusMode: true,
          ariaLabel: 'Panel query',
        } as React.ComponentProps<typeof CodeEditor>['monacoOptions']}
      />
      <div className={styles.mistake} role="status" aria-live="polite">
        {mistake?.message}
      </div>
    </div>
  );
}

const getStyles = (theme: GrafanaTheme2) => ({
  mistake: css({
    color: theme.colors.error.text,
    fontSize: theme.typography.bodySmall.fontSize,
    minHeight: theme.spacing(2.5),
    paddingTop: theme.spacing(0.5),
  }),
});
