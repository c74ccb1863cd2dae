// What a person is told in one line: what was wrong, and what is accepted.
export class Refusal extends Error {}
