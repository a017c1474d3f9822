package control

import (
	"context"
	"encoding/json"
	"net/http"
)

// Conflicts are preserved files of the farm, the newest first.
func (c *Client) Conflicts(ctx context.Context, q ConflictQuery) (list Conflicts, err error) {
	return list, c.call(ctx, http.MethodGet, "/v1/conflicts?"+q.values().Encode(), nil, &list)
}

// DiffConflict compares a preserved file with a current one.
func (c *Client) DiffConflict(ctx context.Context, req DiffRequest) (d ConflictDiff, err error) {
	return d, c.call(ctx, http.MethodPost, "/v1/conflicts/diff", req, &d)
}

// DropConflicts removes preserved files for good.
func (c *Client) DropConflicts(ctx context.Context, q ConflictQuery) (d Dropped, err error) {
	return d, c.call(ctx, http.MethodPost, "/v1/conflicts/drop", q, &d)
}

// RestoreConflicts brings preserved files back into their folders, and takes the time that it takes. It calls progress now
// and then. That some of the files could not be restored is no error but stands in the result.
func (c *Client) RestoreConflicts(ctx context.Context, req RestoreRequest, progress func(done, count int)) (RestoreResult, error) {
	resp, err := c.do(ctx, http.MethodPost, "/v1/conflicts/restore", req)
	if err != nil {
		return RestoreResult{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return RestoreResult{}, errorOf("restore", resp)
	}
	dec := json.NewDecoder(resp.Body)
	for {
		var l RestoreLine
		if err := dec.Decode(&l); err != nil {
			return RestoreResult{}, c.streamEnd(ctx, "restore", err)
		}
		switch {
		case l.Error != nil:
			return RestoreResult{}, l.Error.Err()
		case l.Result != nil:
			return *l.Result, nil
		}
		progress(l.Done, l.Count)
	}
}
