// What was opened: a call with its prompt and reply, a verdict, or what changed between two replies.

import { useEffect, useState, type ReactElement, type ReactNode } from 'react';
import type { RunsApi } from '../../api/rest.js';
import type { CallContent, LlmCall, LoopAttempt, Run, SamplingLoop } from '../../api/schema.js';
import { describeError } from '../../components/errors.js';
import { Icon } from '../../components/icons.js';
import { formatBytes, formatDuration, formatNumber, type ITranslation } from '../../format.js';
import type { CallsModel } from '../../models/calls.js';
import { countWords, diffWords } from './diff.js';
import { gridOf } from './grid.js';
import { formText, stateText } from './Ladder.js';
import {
  costText,
  endText,
  firstTokenText,
  isWithoutTokens,
  latencyText,
  modelText,
  priceText,
  purposeText
} from './texts.js';
import { attemptKey, type AttemptKey, type Opened } from './view.js';

/** What the details need of what is around them. */
export interface IDetailsProps {
  run: Run;
  data: CallsModel;
  api: Pick<RunsApi, 'getCallContent'>;
  onOpen: (opened: Opened) => void;
  /** Show a line of the log; null where there is no log beside. */
  onShowLine: ((line: number) => void) | null;
  trans: ITranslation;
}

/** The heading of what was opened. */
export function detailsTitle(opened: Opened, trans: ITranslation): string {
  switch (opened.kind) {
    case 'call':
      return trans.__('Call %1', opened.call);
    case 'verdict':
      return trans.__('Attempt %1', opened.attempt);
    case 'diff':
      return trans.__('Differences');
    default: {
      const unknown: never = opened;
      return unknown;
    }
  }
}

/** What was opened; a sentence where it is not known (any more). */
export function Details(props: IDetailsProps & { opened: Opened }): ReactElement {
  const { opened, data, trans } = props;
  if (opened.kind === 'call') {
    const call = data.findCall(opened.call);
    return call ? (
      <CallDetails key={call.call} {...props} call={call} />
    ) : (
      <p>{data.isLoading ? trans.__('Loading…') : trans.__('There is no record of this call.')}</p>
    );
  }
  const loop = data.findLoop(opened.loop);
  if (!loop) {
    return <p>{trans.__('There is no record of this loop.')}</p>;
  }
  return opened.kind === 'verdict' ? (
    <VerdictDetails {...props} opened={opened} loop={loop} />
  ) : (
    <DiffDetails {...props} opened={opened} loop={loop} />
  );
}

function CallDetails(props: IDetailsProps & { call: LlmCall }): ReactElement {
  const { call, trans } = props;
  return (
    <>
      <CallFacts {...props} />
      {call.error !== null && (
        <p className="jp-MelleaCalls-error">
          <Icon name="failed" /> {call.error}
        </p>
      )}
      <Content {...props}>
        {content => (
          <>
            <ContentText title={trans.__('Prompt')} text={content.prompt} trans={trans}>
              {cutText(content.prompt, content.prompt_bytes, trans)}
            </ContentText>
            <ContentText
              title={trans.__('Reply')}
              text={content.reply}
              missing={call.status === 'finished' ? '' : trans.__('It gave no reply.')}
              trans={trans}
            >
              {cutText(content.reply, content.reply_bytes, trans)}
            </ContentText>
          </>
        )}
      </Content>
    </>
  );
}

function CallFacts(props: IDetailsProps & { call: LlmCall }): ReactElement {
  const { call, data, onOpen, onShowLine, trans } = props;
  const loop = data.findLoop(call.loop ?? 0);
  const attempt = loop?.attempts.find(
    each => each.chain === call.chain && each.attempt === call.attempt
  );
  const requirement =
    call.requirement === null
      ? undefined
      : loop?.requirements.find(each => each.index === call.requirement);
  const tokens = (count: number | null): ReactNode => (count === null ? null : formatNumber(count));
  const line = call.line;
  return (
    <table className="jp-MelleaTable jp-MelleaCalls-facts">
      <tbody>
        <Fact label={trans.__('Purpose')}>
          {[purposeText(call.purpose, trans), endText(call, trans)].filter(Boolean).join(' · ')}
        </Fact>
        <Fact label={trans.__('Model')}>
          {modelText(call, trans)}
          {call.response_model !== null &&
            call.response_model !== call.model &&
            ` · ${trans.__('answered as %1', call.response_model)}`}
        </Fact>
        {loop && call.attempt !== null && (
          <Fact label={trans.__('Attempt')}>
            {trans.__('%1 of loop %2', call.attempt, loop.loop)}
            {requirement && ` · ${trans.__('checks “%1”', requirement.text)}`}
            {attempt && call.requirement !== null && call.purpose === 'judge' && (
              <>
                {' · '}
                <Link
                  onClick={() =>
                    onOpen({
                      kind: 'verdict',
                      loop: loop.loop,
                      chain: attempt.chain,
                      attempt: attempt.attempt,
                      column: String(call.requirement)
                    })
                  }
                >
                  {trans.__('verdict')}
                </Link>
              </>
            )}
          </Fact>
        )}
        <Fact label={trans.__('Input')} isNumber>
          {tokens(call.input_tokens)}
          {call.cached_tokens !== null &&
            call.cached_tokens > 0 &&
            ` (${trans.__('%1 from a cache', formatNumber(call.cached_tokens))})`}
        </Fact>
        <Fact label={trans.__('Output')} isNumber>
          {tokens(call.output_tokens)}
          {call.reasoning_tokens !== null &&
            call.reasoning_tokens > 0 &&
            ` (${trans.__('%1 for reasoning', formatNumber(call.reasoning_tokens))})`}
        </Fact>
        {isWithoutTokens(call) && (
          <Fact label={trans.__('Tokens')}>
            {trans.__('missing: the backend did not say them')}
          </Fact>
        )}
        <Fact label={trans.__('Latency')} isNumber>
          {latencyText(call)}
        </Fact>
        <Fact label={trans.__('First token')} isNumber>
          {firstTokenText(call) ||
            (call.status === 'finished' && !call.streaming ? trans.__('not streamed') : '')}
        </Fact>
        <Fact label={trans.__('Cost')} isNumber>
          {costText(call, trans)}
        </Fact>
        <Fact label={trans.__('Price from')}>{priceText(call, trans)}</Fact>
        <Fact label={trans.__('Ended with')}>{call.finish_reason}</Fact>
        <Fact label={trans.__('Requests')} isNumber>
          {call.requests > 1 && formatNumber(call.requests)}
        </Fact>
        {line !== null && onShowLine !== null && (
          <Fact label={trans.__('Log')}>
            <Link onClick={() => onShowLine(line)}>{trans.__('line %1', formatNumber(line))}</Link>
          </Fact>
        )}
      </tbody>
    </table>
  );
}

function VerdictDetails(
  props: IDetailsProps & { opened: Extract<Opened, { kind: 'verdict' }>; loop: SamplingLoop }
): ReactElement {
  const { opened, loop, data, trans } = props;
  const { columns, chains } = gridOf(loop);
  const at = columns.findIndex(column => column.key === opened.column);
  const row = chains
    .find(chain => chain.chain === opened.chain)
    ?.rows.find(each => each.attempt.attempt === opened.attempt);
  const column = columns[at];
  const cell = row?.cells[at];
  const verdict = cell?.verdict;
  if (!row || !column || !cell || !verdict) {
    return <p>{trans.__('It was not checked.')}</p>;
  }
  const judges = verdict.calls
    .map(number => data.findCall(number))
    .filter(call => call !== undefined);
  const made = row.attempt.calls.at(-1);
  return (
    <>
      <p className="jp-MelleaCalls-requirement">{verdict.text || column.text}</p>
      <table className="jp-MelleaTable jp-MelleaCalls-facts">
        <tbody>
          <Fact label={trans.__('Verdict')}>
            <span className={`jp-MelleaCalls-verdict jp-mod-${cell.state}`}>
              <Icon name={verdict.passed ? 'succeeded' : 'failed'} />
              {stateText(cell, trans)}
            </span>
          </Fact>
          <Fact label={trans.__('Score')} isNumber>
            {verdict.score === null ? null : String(verdict.score)}
          </Fact>
          <Fact label={trans.__('Checked by')}>
            {column.isJudged ? trans.__('a model') : trans.__('the program')}
          </Fact>
          <Fact label={trans.__('Took')} isNumber>
            {tookText(verdict.latency_ms)}
          </Fact>
          {made !== undefined && (
            <Fact label={trans.__('Attempt')}>
              <Link onClick={() => props.onOpen({ kind: 'call', call: made })}>
                {`${formText(row.attempt, trans)}, ${trans.__('call %1', made)}`}
              </Link>
            </Fact>
          )}
        </tbody>
      </table>
      <h4>{trans.__('Reason')}</h4>
      {verdict.reason ? (
        <pre tabIndex={0}>{verdict.reason}</pre>
      ) : (
        <p className="jp-MelleaRun-meaning">
          {props.run.config.capture_content
            ? trans.__('No reason was given.')
            : trans.__('Reasons are kept only where a run keeps its content.')}
        </p>
      )}
      {judges.map(call => (
        <section key={call.call}>
          <h4>
            {trans.__('Judge')}:{' '}
            <Link onClick={() => props.onOpen({ kind: 'call', call: call.call })}>
              {trans.__('call %1', call.call)}
            </Link>
          </h4>
          <CallDetails {...props} call={call} />
        </section>
      ))}
    </>
  );
}

/** Checks of the program are often faster than a millisecond. */
function tookText(milliseconds: number | null): string {
  if (milliseconds === null) {
    return '';
  }
  return milliseconds < 1 ? `< ${formatDuration(1)}` : formatDuration(milliseconds);
}

function DiffDetails(
  props: IDetailsProps & { opened: Extract<Opened, { kind: 'diff' }>; loop: SamplingLoop }
): ReactElement {
  const { opened, loop, data, trans, onOpen } = props;
  const of = (key: AttemptKey): LoopAttempt | undefined =>
    loop.attempts.find(attempt => attemptKey(attempt) === key);
  const callOf = (key: AttemptKey): LlmCall | undefined =>
    data.findCall(of(key)?.calls.at(-1) ?? 0);
  const before = callOf(opened.before);
  const after = callOf(opened.after);
  return (
    <>
      <p className="jp-MelleaCalls-compared">
        <AttemptChoice
          {...props}
          label={trans.__('From')}
          value={opened.before}
          onChange={key => onOpen({ ...opened, before: key })}
        />{' '}
        →{' '}
        <AttemptChoice
          {...props}
          label={trans.__('To')}
          value={opened.after}
          onChange={key => onOpen({ ...opened, after: key })}
        />
      </p>
      {before && after ? (
        <Content key={`a ${before.call}`} {...props} call={before}>
          {one => (
            <Content key={`b ${after.call}`} {...props} call={after}>
              {other => <Diff before={one} after={other} trans={trans} />}
            </Content>
          )}
        </Content>
      ) : (
        <p>{trans.__('One of these attempts has no call of its own.')}</p>
      )}
    </>
  );
}

function AttemptChoice(props: {
  loop: SamplingLoop;
  label: string;
  value: AttemptKey;
  onChange: (key: AttemptKey) => void;
  trans: ITranslation;
}): ReactElement {
  const { loop, trans } = props;
  const hasChains = loop.attempts.some(attempt => attempt.chain > 1);
  return (
    <select
      className="jp-mod-styled"
      aria-label={props.label}
      value={props.value}
      onChange={event => props.onChange(event.target.value)}
    >
      {loop.attempts.map(attempt => (
        <option key={attemptKey(attempt)} value={attemptKey(attempt)}>
          {(hasChains ? `${trans.__('chain %1', attempt.chain)}, ` : '') +
            `${attempt.attempt} ${formText(attempt, trans)}`}
        </option>
      ))}
    </select>
  );
}

function Diff(props: {
  before: CallContent;
  after: CallContent;
  trans: ITranslation;
}): ReactElement {
  const { before, after, trans } = props;
  if (before.reply === null || after.reply === null) {
    return <p>{trans.__('One of the replies was not kept.')}</p>;
  }
  const parts = diffWords(before.reply, after.reply);
  if (parts === null) {
    return <p>{trans.__('These replies have too little in common to be compared.')}</p>;
  }
  const { added, removed } = countWords(parts);
  return (
    <>
      <p className="jp-MelleaRun-meaning">
        {added + removed === 0
          ? trans.__('The replies are the same.')
          : `${trans._n('%1 word added', '%1 words added', added)} · ${trans._n('%1 removed', '%1 removed', removed)}`}
        {(before.truncated || after.truncated) &&
          ` · ${trans.__('only what was kept is compared')}`}
      </p>
      <pre className="jp-MelleaCalls-diff" tabIndex={0}>
        {parts.map(({ kind, text }, index) =>
          kind === 'added' ? (
            <ins key={index}>{text}</ins>
          ) : kind === 'removed' ? (
            <del key={index}>{text}</del>
          ) : (
            <span key={index}>{text}</span>
          )
        )}
      </pre>
    </>
  );
}

/** The prompt and reply of a call, or the reason why they are not there. */
function Content(
  props: IDetailsProps & { call: LlmCall; children: (content: CallContent) => ReactNode }
): ReactElement {
  const { call, run, api, trans } = props;
  const [content, setContent] = useState<CallContent | null>(null);
  const [error, setError] = useState('');
  const [attempt, setAttempt] = useState(0);
  const isKept = call.has_content && !run.artifacts_purged;
  const { status } = call;
  useEffect(() => {
    if (!isKept) {
      return;
    }
    const reading = new AbortController();
    setError('');
    api.getCallContent(run.id, call.call, { signal: reading.signal }).then(
      found => setContent(found),
      (failure: Error) => !reading.signal.aborted && setError(describeError(failure))
    );
    return () => reading.abort();
  }, [api, run.id, call.call, isKept, status, attempt]);
  if (!isKept) {
    return <p className="jp-MelleaRun-meaning">{absentText(call, run, trans)}</p>;
  }
  if (error !== '') {
    return (
      <p role="alert">
        {error} <Link onClick={() => setAttempt(attempt + 1)}>{trans.__('Try again')}</Link>
      </p>
    );
  }
  if (content === null) {
    return <p>{trans.__('Loading…')}</p>;
  }
  return <>{props.children(content)}</>;
}

/** Why there is no prompt and no reply. */
export function absentText(call: LlmCall, run: Run, trans: ITranslation): string {
  if (run.artifacts_purged) {
    return trans.__('Prompts and replies have expired with the log.');
  }
  if (!run.config.capture_content) {
    return trans.__('Prompts and replies were not kept: capture_content was off for this run.');
  }
  return call.status === 'active'
    ? trans.__('Prompt and reply are here when the call has ended.')
    : trans.__('No prompt and no reply were kept of this call.');
}

/** `Cut at 64 kB of 143 kB`; empty where all is there. */
export function cutText(text: string | null, bytes: number | null, trans: ITranslation): string {
  const kept = text === null ? 0 : new TextEncoder().encode(text).length;
  return text !== null && bytes !== null && bytes > kept
    ? trans.__('Cut at %1 of %2.', formatBytes(kept), formatBytes(bytes))
    : '';
}

function ContentText(props: {
  title: string;
  text: string | null;
  missing?: string;
  children: string;
  trans: ITranslation;
}): ReactElement {
  const { text, trans } = props;
  return (
    <section>
      <h4>{props.title}</h4>
      {text === null ? (
        <p className="jp-MelleaRun-meaning">{props.missing || trans.__('It was not kept.')}</p>
      ) : text === '' ? (
        <p className="jp-MelleaRun-meaning">{trans.__('It is empty.')}</p>
      ) : (
        <pre tabIndex={0} aria-label={props.title}>
          {text}
        </pre>
      )}
      {props.children && <p className="jp-MelleaCalls-cut">{props.children}</p>}
    </section>
  );
}

function Link(props: { onClick: () => void; children: ReactNode }): ReactElement {
  return (
    <button type="button" className="jp-MelleaButton jp-mod-link" onClick={props.onClick}>
      {props.children}
    </button>
  );
}

/** A row; nothing where there is no value. */
function Fact(props: {
  label: string;
  isNumber?: boolean;
  children: ReactNode;
}): ReactElement | null {
  const parts = Array.isArray(props.children) ? props.children : [props.children];
  if (parts.every(part => part === null || part === undefined || part === false || part === '')) {
    return null;
  }
  return (
    <tr>
      <th scope="row">{props.label}</th>
      <td className={props.isNumber ? 'jp-mod-figure' : undefined}>{props.children}</td>
    </tr>
  );
}
