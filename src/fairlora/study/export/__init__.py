"""Export a run or an adapter, proved by the rows that both answer, and read it again.

`manifest` says what an export holds, `proof` compares it with what it was made from, `writing`
makes one.
"""
