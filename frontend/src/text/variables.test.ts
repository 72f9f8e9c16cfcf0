import { templates } from '../../tests/templates';
import { hide, hideValue, isVariable, replaceVariables, show, showValue } from './variables';

const grafana = templates({
  one: 'orders',
  many: ['a', "it's"],
  none: [],
  all: '$__all',
  allOfMany: ['$__all'],
  missing: '(none)',
  odd: 'a, "b" $c \u00e9\u{1F40B}',
  by: 'dag',
  dotted: 'a.b|c',
  __interval: '5m',
});

describe('a variable in a panel query', () => {
  it.each([
    ['queries where dag = $one', "queries where dag = 'orders'"],
    ['queries where dag in ($many)', "queries where dag in ('a', 'it''s')"],
    ['queries where dag in (${many})', "queries where dag in ('a', 'it''s')"],
    ['queries where dag in ([[many]])', "queries where dag in ('a', 'it''s')"],
    ['queries where dag in ($all)', 'queries where dag in (any)'],
    ['queries where dag in ($allOfMany)', 'queries where dag in (any)'],
    ['queries where dag in ($none)', 'queries where dag in (any)'],
    ['queries where dag in ($missing)', "queries where dag in ('(none)')"],
    ['queries where dag = $odd', 'queries where dag = \'a, "b" $c \u00e9\u{1F40B}\''],
    ['queries by ${by:raw}', 'queries by dag'],
    ['queries every $__interval', 'queries every 5m'],
    ["queries where dag ~ '^$one'", "queries where dag ~ '^orders'"],
    ["queries where dag ~ '^$many'", "queries where dag ~ '^(a|it''s)'"],
    ["queries where dag = 'no ''variable'''", "queries where dag = 'no ''variable'''"],
    ['queries where dag = $unknown', 'queries where dag = $unknown'],
  ])('%s', (text, expected) => {
    expect(replaceVariables(text, grafana).text).toBe(expected);
  });

  it('takes the value of a repeated panel, also where all are chosen', () => {
    const scoped = { all: { text: 'x', value: 'x' } };
    expect(replaceVariables('queries where dag in ($all)', grafana, scoped).text).toBe("queries where dag in ('x')");
  });

  it('knows where the parts of the text came from', () => {
    const text = 'queries where dag in ($many) by dagg';
    const replaced = replaceVariables(text, grafana);
    const wrong = replaced.text.indexOf('dagg');
    expect(replaced.toSource(wrong)).toBe(text.indexOf('dagg'));
    expect(replaced.toReplaced(text.indexOf('dagg'))).toBe(wrong);
    expect(replaced.toSource(replaced.text.indexOf('it'))).toBe(text.indexOf('$many'));
    expect(replaced.toSource(3)).toBe(3);
    expect(replaced.toReplaced(text.length)).toBe(replaced.text.length);
  });
});

describe('hiding variables from the parser', () => {
  it.each([
    'queries where dag in ($dag)',
    'queries where dag in (${dag}, [[other]])',
    "queries where dag ~ '$dag' and app = 'it''s'",
    'p95 latency by ${by:raw} where app in ($app)',
    "queries where person = '$'",
  ])('%s comes back', (text) => {
    const hidden = hide(text);
    expect(hidden).not.toMatch(/(?<![\uE000[])[$[]/);
    expect(show(hidden)).toBe(text);
  });

  it('tells a reference from a text', () => {
    expect(['$a', '${a}', '${a:raw}', '[[a]]', '${a.b}'].every(isVariable)).toBe(true);
    expect(['a', '$', '$a b', 'a$b'].some(isVariable)).toBe(false);
    expect(showValue(hideValue('$dag'))).toBe('$dag');
    expect(hideValue('dag')).toBe('dag');
  });
});
