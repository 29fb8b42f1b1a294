"""Where answers and vectors are kept: adapters of the ports `Store` and `Index`.

- `memory.MemoryStore` keeps answers in this process, bounded in bytes; what is worth least goes first (`worth`).
- `sqlite.SqliteStore` puts it in front of a file. `pending` holds what isn't committed yet, `writer` commits it
  in groups and copes with a failing disk, `reader` answers what memory doesn't know, `uses` counts hits.
  `database` is the file, opened and closed (`files` is what lies around it), `contents` what is in it (`schema` its
  tables, `rows` and `audits` their SQL).
- `jobs.SqliteJobs` keeps the batch lane's jobs in the same file: `operations` commits in groups what is asked together,
  `job_tables` is what callers do, `work_tables` what there is to do for them, `turns` whose turn it is.
- `vectors.PartitionedIndex` finds near questions: partitions are lists of `chunks`, whose rows keep
  a question's `tokens` packed.

All state is owned by the event loop's thread. The disk is touched by two threads alone, one that writes and one
that reads; they run plain functions on values and share nothing with the loop.
"""
