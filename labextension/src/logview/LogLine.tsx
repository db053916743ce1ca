// One line of a log: number, time, text. Programs and models write the text: text nodes only.

import { memo, type ReactElement, type ReactNode } from 'react';
import { formatClock, formatExact, formatNumber, type ITranslation } from '../format.js';
import { markMatches, parseLine } from './core/ansi.js';
import type { ILine } from './core/buffer.js';

interface ILogLineProps {
  line: ILine;
  index: number;
  hiddenBefore: number;
  query: string;
  isHighlighted: boolean;
  hasTime: boolean;
  href: string | null;
  onCopyLink: (line: number) => void;
  after?: (line: ILine) => ReactNode;
  trans: ITranslation;
}

/** A row of the viewer. */
export const LogLine = memo(function LogLine(props: ILogLineProps): ReactElement {
  const { line, trans } = props;
  const { spans, hidden } = parseLine(line.message);
  const number = String(line.line);
  return (
    <div
      className={`jp-MelleaLog-line jp-mod-${line.stream} jp-mod-${line.level}`}
      data-index={props.index}
      data-highlighted={props.isHighlighted || undefined}
    >
      {props.hiddenBefore > 0 && (
        <div className="jp-MelleaLog-hidden">
          {trans._n(
            '⋯ %2 line hidden by the filter ⋯',
            '⋯ %2 lines hidden by the filter ⋯',
            props.hiddenBefore,
            formatNumber(props.hiddenBefore)
          )}
        </div>
      )}
      <div className="jp-MelleaLog-row">
        {props.href === null ? (
          <span className="jp-MelleaLog-number">{number}</span>
        ) : (
          <a
            className="jp-MelleaLog-number"
            href={props.href}
            tabIndex={-1}
            title={trans.__('Copy a link to line %1', number)}
            onClick={event => {
              event.preventDefault();
              props.onCopyLink(line.line);
            }}
          >
            {number}
          </a>
        )}
        {props.hasTime && (
          <time className="jp-MelleaLog-time" title={formatExact(line.timestamp)}>
            {formatClock(line.timestamp)}
          </time>
        )}
        <span className="jp-MelleaLog-text">
          {markMatches(spans, props.query).map((span, index) =>
            span.isMatch ? (
              <mark key={index} className={span.className}>
                {span.text}
              </mark>
            ) : span.className ? (
              <span key={index} className={span.className}>
                {span.text}
              </span>
            ) : (
              span.text
            )
          )}
          {hidden > 0 && (
            <em className="jp-MelleaLog-cut">
              {trans.__(' … %1 more characters', formatNumber(hidden))}
            </em>
          )}
        </span>
        {props.after?.(line)}
      </div>
    </div>
  );
});
