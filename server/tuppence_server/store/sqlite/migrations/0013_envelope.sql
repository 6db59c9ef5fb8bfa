-- What the envelope of an event says, as columns: computed where they are read, so that they cannot differ from its
-- bytes, cost a batch nothing to save, and needed no rewriting of the log.
CREATE VIEW envelope AS
  SELECT pos, json_extract(said, '$.kind') AS kind, json_extract(said, '$.id') AS id,
    json_extract(said, '$.from') AS author, json_extract(said, '$.at') AS at, json_extract(said, '$.ref') AS ref
  FROM (SELECT pos, CAST(head AS TEXT) AS said FROM event);
