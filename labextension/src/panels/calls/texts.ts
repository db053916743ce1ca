// How the figures of a call read. What is not known is said, never shown as nothing.

import type { LlmCall } from '../../api/schema.js';
import {
  formatDuration,
  formatMoney,
  formatNumber,
  formatTokens,
  type ITranslation
} from '../../format.js';

/** What the call was made for. */
export function purposeText(purpose: string, trans: ITranslation): string {
  switch (purpose) {
    case 'answer':
      return trans.__('answer');
    case 'repair':
      return trans.__('repair');
    case 'judge':
      return trans.__('judge');
    case 'tool':
      return trans.__('tool');
    default:
      return purpose;
  }
}

/** Whether the provider did not say how many tokens a call took. */
export function isWithoutTokens(call: LlmCall): boolean {
  return call.status === 'finished' && (call.input_tokens === null || call.output_tokens === null);
}

/** `1 204 → 388 tok`, or why there is no such figure. */
export function tokensText(call: LlmCall, trans: ITranslation): string {
  if (call.input_tokens === null && call.output_tokens === null) {
    return call.status === 'finished' ? trans.__('tokens missing') : '';
  }
  const part = (tokens: number | null): string => (tokens === null ? '?' : formatNumber(tokens));
  return `${part(call.input_tokens)} → ${call.output_tokens === null ? '?' : formatTokens(call.output_tokens, trans)}`;
}

/** `$0.0041`, or why there is no such figure; empty while it is not known. */
export function costText(call: LlmCall, trans: ITranslation): string {
  if (call.cost_usd === null) {
    if (call.status !== 'finished') {
      return '';
    }
    return isWithoutTokens(call) ? trans.__('tokens missing') : trans.__('unpriced');
  }
  if (call.cost_usd > 0) {
    return formatMoney(call.cost_usd);
  }
  return call.price?.source === 'local' ? trans.__('local') : trans.__('free');
}

/** Where the price comes from. */
export function priceText(call: LlmCall, trans: ITranslation): string {
  if (call.price === null) {
    return '';
  }
  const { source, version, dated } = call.price;
  const name =
    source === 'override'
      ? trans.__("the operator's own prices")
      : source === 'local'
        ? trans.__('a local model has no price')
        : `${source} ${version}`;
  return dated ? trans.__('%1, of %2', name, dated) : name;
}

/** `openai/gpt-4o`. */
export function modelText(call: LlmCall, trans: ITranslation): string {
  return [call.provider, call.model].filter(Boolean).join('/') || trans.__('unknown model');
}

/** How long the call took; empty while it runs. */
export function latencyText(call: LlmCall): string {
  return call.latency_ms === null ? '' : formatDuration(call.latency_ms);
}

/** Time to the first token; empty where the reply was not streamed. */
export function firstTokenText(call: LlmCall): string {
  return call.ttft_ms === null ? '' : formatDuration(call.ttft_ms);
}

/** What became of the call, where that is not just an answer. */
export function endText(call: LlmCall, trans: ITranslation): string {
  switch (call.status) {
    case 'active':
      return trans.__('running');
    case 'failed':
      return trans.__('failed');
    case 'cancelled':
      return trans.__('cancelled');
    default:
      return '';
  }
}

/** All of it in one sentence, for those who do not see the bar. */
export function callLabel(call: LlmCall, trans: ITranslation): string {
  return [
    trans.__('Call %1', call.call),
    purposeText(call.purpose, trans),
    endText(call, trans),
    modelText(call, trans),
    latencyText(call),
    call.ttft_ms === null ? '' : trans.__('first token after %1', firstTokenText(call)),
    tokensText(call, trans),
    costText(call, trans)
  ]
    .filter((text, at, all) => text !== '' && all.indexOf(text) === at)
    .join(', ');
}
