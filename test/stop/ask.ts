// The plainest chat and function, for tests in which only the stop matters.

import {
  type CallOptions,
  type ChatRun,
  type Definition,
  llmChat,
  llmFunction,
  type Model,
  prompt,
  type Run,
  type Toolkit,
} from "llmethod";

export type Chat = (message: string, options?: CallOptions) => ChatRun;
export type Task = (task: string, options?: CallOptions) => Run<string>;

export const chatOf = (model: Model, toolkit: Toolkit = [], more: Definition<unknown> = {}): Chat =>
  llmChat({ model, toolkit, ...more })((_message: string, _options?: CallOptions) => prompt`Be kind.`);

export const taskOf = (model: Model, toolkit: Toolkit = [], more: Definition<unknown> = {}): Task =>
  llmFunction({ model, toolkit, ...more })((task: string, _options?: CallOptions) => prompt`${task}`);
