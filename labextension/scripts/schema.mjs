// Generates src/api/schema.ts from the server's OpenAPI document.
//
//   node scripts/schema.mjs            write the file
//   node scripts/schema.mjs --check    fail when the file differs from what would be written
//   OPENAPI=<file>                     read the document from a file instead of asking Python
//   PYTHON=<interpreter>               the Python that has mellea_jupyter's dependencies

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const REPOSITORY = path.resolve(HERE, '../..');
const TARGET = path.resolve(HERE, '../src/api/schema.ts');

const ASK = `
import json
from mellea_jupyter.handlers.openapi import build_document
print(json.dumps(build_document("/")))
`;

function readDocument() {
  if (process.env.OPENAPI) {
    return JSON.parse(readFileSync(process.env.OPENAPI, 'utf8'));
  }
  const text = execFileSync(process.env.PYTHON ?? 'python3', ['-c', ASK], {
    cwd: REPOSITORY,
    env: { ...process.env, PYTHONPATH: REPOSITORY },
    maxBuffer: 64 * 1024 * 1024
  });
  return JSON.parse(text);
}

const literal = value => `'${String(value).replaceAll("'", "\\'")}'`;
const key = name => (/^[A-Za-z_]\w*$/.test(name) ? name : literal(name));

/** The TypeScript type of a JSON schema. */
function typeOf(schema) {
  if (schema === true || Object.keys(schema).length === 0) {
    return 'unknown';
  }
  if (schema.$ref) {
    return schema.$ref.split('/').at(-1);
  }
  if ('const' in schema) {
    return typeof schema.const === 'string' ? literal(schema.const) : String(schema.const);
  }
  if (schema.enum) {
    return schema.enum.map(literal).join(' | ');
  }
  const union = schema.anyOf ?? schema.oneOf;
  if (union) {
    return [...new Set(union.map(typeOf))].join(' | ');
  }
  switch (schema.type) {
    case 'string':
      return 'string';
    case 'integer':
    case 'number':
      return 'number';
    case 'boolean':
      return 'boolean';
    case 'null':
      return 'null';
    case 'array': {
      const item = schema.items ? typeOf(schema.items) : 'unknown';
      return item.includes('|') ? `(${item})[]` : `${item}[]`;
    }
    case 'object':
      return schema.properties ? inlineObject(schema) : `Record<string, ${valueOf(schema)}>`;
    default:
      return 'unknown';
  }
}

function valueOf(schema) {
  if (schema.patternProperties) {
    return Object.values(schema.patternProperties).map(typeOf).join(' | ');
  }
  return typeof schema.additionalProperties === 'object'
    ? typeOf(schema.additionalProperties)
    : 'unknown';
}

function comment(text, indent = '') {
  return text
    ? `${indent}/** ${text.replaceAll('*/', '* /').replace(/\s+/g, ' ').trim()} */\n`
    : '';
}

function members(schema) {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {})
    .map(([name, property]) => {
      const optional = required.has(name) ? '' : '?';
      return `${comment(property.description, '  ')}  ${key(name)}${optional}: ${typeOf(property)};\n`;
    })
    .join('');
}

const inlineObject = schema => `{\n${members(schema)}}`;

function declaration(name, schema) {
  return `${comment(schema.description)}export type ${name} = ${typeOf(schema)};\n`;
}

/** A type for the query string of each operation that has one: `GetRunsQuery`. */
function queries(document) {
  const found = [];
  for (const operation of Object.values(document.paths).flatMap(Object.values)) {
    const parameters = (operation?.parameters ?? []).filter(each => each.in === 'query');
    if (parameters.length > 0) {
      const name = operation.operationId.replace(/(^|_)(\w)/g, (_all, _gap, c) => c.toUpperCase());
      found.push([
        `${name}Query`,
        {
          type: 'object',
          description: `Query string of \`${operation.operationId}\`.`,
          required: parameters.filter(each => each.required).map(each => each.name),
          properties: Object.fromEntries(
            parameters.map(each => [
              each.name,
              { ...each.schema, description: each.description ?? each.schema.description }
            ])
          )
        }
      ]);
    }
  }
  return found;
}

function generate(document) {
  const schemas = Object.entries(document.components.schemas).filter(
    ([name]) => name !== 'JsonValue'
  );
  return [
    '// Generated from the OpenAPI document by scripts/schema.mjs. Do not edit.\n',
    'export type JsonValue =\n  | string\n  | number\n  | boolean\n  | null\n  | JsonValue[]\n  | { [key: string]: JsonValue };\n',
    ...[...schemas, ...queries(document)].map(([name, schema]) => declaration(name, schema))
  ].join('\n');
}

const text = generate(readDocument());
if (process.argv.includes('--check')) {
  if (readFileSync(TARGET, 'utf8') !== text) {
    console.error('src/api/schema.ts differs from the API: run `npm run schema` and commit it.');
    process.exit(1);
  }
} else {
  writeFileSync(TARGET, text);
}
