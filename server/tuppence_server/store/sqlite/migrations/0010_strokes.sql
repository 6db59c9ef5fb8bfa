-- What a handle looks like, stroke by stroke: m is drawn as rn, w as vv. Two people whose handles look alike already
-- keep them; the second stays as it was, and nobody new can take the look of either.
UPDATE OR IGNORE user SET skeleton = replace(replace(skeleton, 'm', 'rn'), 'w', 'vv')
WHERE skeleton GLOB '*[mw]*';
