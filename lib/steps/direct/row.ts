/** Good answers in a row, from the same members. */
export class Row {
  length = 0;
  private members: readonly string[] = [];

  see(up: readonly string[], good: boolean): void {
    const lost = this.members.some((member) => !up.includes(member));
    this.members = up;
    if (!good) this.length = 0;
    else this.length = lost ? 1 : this.length + 1;
  }
}
