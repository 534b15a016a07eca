/**
 * jobs: which use case runs when. It promises that a job of this process never overlaps itself, that a failure is told once and
 * tried again, and that the process does not end in the middle of one. It must never hold a rule of its own.
 */
export { type Job, Jobs } from './jobs.service.js';
export { JobsModule } from './jobs.module.js';
