/** The public names of llmethod. */

export { MemoryRunStore } from "./adapters/memory-store.ts";
export type { StoredFunction } from "./attempt.ts";
export type { BackgroundOptions } from "./background.ts";
export { withTimeout } from "./callable.ts";
export type { StopRequestOptions } from "./cancel-run.ts";
export { activeRuns, cancelRun } from "./cancel-run.ts";
export type { StopRequest } from "./cancellation.ts";
export { CancellationManager, MemoryCancellationManager } from "./cancellation.ts";
export type { ChatReply, ChatRun } from "./chat.ts";
export { llmChat } from "./chat.ts";
export type { LlmDecorator } from "./decorators.ts";
export type { Definition, FunctionDefinition } from "./definition.ts";
export type { ModelErrorCode, TimeoutKind, UsageErrorCode } from "./errors.ts";
export {
  GaveUpError,
  ModelError,
  OutputError,
  RunCancelledError,
  TimeoutError,
  TurnLimitError,
  UsageError,
} from "./errors.ts";
export type {
  DeepPartial,
  FinishReason,
  Patch,
  RepairPatch,
  ResumedEvent,
  RunEvent,
  RunOutcome,
  RunStatus,
  StopCause,
  StoredEvent,
  ToolStatus,
  Usage,
} from "./events.ts";
export { llmFunction } from "./function.ts";
export { repairHistory } from "./history.ts";
export type { Json, JsonObject } from "./json.ts";
export type { Model, ModelEvent, ModelRequest, OutputSpec, ToolSpec } from "./model.ts";
export type { OpenAIOptions } from "./models/openai-chat.ts";
export { openai } from "./models/openai-chat.ts";
export type { RetryOptions } from "./models/retry.ts";
export { withRetry } from "./models/retry.ts";
export type { CallOptions, Timeouts, TurnLimit } from "./options.ts";
export { audio, file, image, prompt } from "./prompt.ts";
export type { Delivery, Execute, QueuedRun, QueueWorker, RunQueue, WorkOptions } from "./queue.ts";
export type { Run, RunStream } from "./run.ts";
export type {
  CancelOptions,
  EventOptions,
  GapEvent,
  RunHandle,
  WaitOptions,
} from "./run-handle.ts";
export { runs } from "./runs.ts";
export type { Configuration } from "./runtime.ts";
export { configure, setCancellationManager } from "./runtime.ts";
export type { WorkerOptions } from "./start-worker.ts";
export { startWorker } from "./start-worker.ts";
export type {
  Bell,
  Claim,
  ClaimOptions,
  ClaimResult,
  NewEvent,
  NewRun,
  Progress,
  PruneOptions,
  RunFilter,
  RunInput,
  RunLimits,
  RunRecord,
  RunStore,
  SelfQueueingStore,
  StoredError,
  StoredOutcome,
  StoredStop,
} from "./store.ts";
export { LostClaimError, StoreClosedError } from "./store.ts";
export type { Tool, ToolContext, ToolDecorator, Toolkit, ToolOptions } from "./tool.ts";
export { tool } from "./tool.ts";
export type { ChatMessage, ContentPart } from "./transcript.ts";
export type { StopOptions, Worker } from "./worker.ts";
export type { WorkerSettings } from "./worker-settings.ts";
