package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"net/http"
	"net/url"
	"time"

	"tandem/internal/farm"
)

// callTimeout bounds a call that is no stream. It is longer than all that the daemon waits for.
const callTimeout = 60 * time.Second

// maxAnswerBytes is more than the longest page or status has.
const maxAnswerBytes = 64 << 20

// Client asks a daemon on this machine. Errors are *farm.Error, those of the daemon with its kind and next step.
type Client struct {
	socket string
	http   *http.Client
}

// NewClient returns a client of the daemon on the socket. It connects with the first call.
func NewClient(socket string) *Client {
	var d net.Dialer
	return &Client{socket, &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", socket) },
		// A command makes one call or two; nothing is left open behind a client that nobody closes.
		DisableKeepAlives: true,
	}}}
}

// Status is the member's view of itself and the farm.
func (c *Client) Status(ctx context.Context) (st Status, err error) {
	return st, c.call(ctx, http.MethodGet, "/v1/status", nil, &st)
}

// Health is OK or says why not. It is an error only if no daemon answers.
func (c *Client) Health(ctx context.Context) (h Health, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := c.do(ctx, http.MethodGet, "/v1/health", nil)
	if err != nil {
		return h, err
	}
	defer resp.Body.Close()
	var either struct {
		Health
		errorAnswer
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswerBytes)).Decode(&either); err != nil {
		return h, &farm.Error{Op: "health", Kind: farm.Unavailable, Err: err}
	}
	if either.Error != nil {
		return h, either.Error.Err()
	}
	return either.Health, nil
}

// Folders are the replicated folders of this member.
func (c *Client) Folders(ctx context.Context) (f []Folder, err error) {
	return f, c.call(ctx, http.MethodGet, "/v1/folders", nil, &f)
}

// Members are the members of the farm.
func (c *Client) Members(ctx context.Context) (m []Member, err error) {
	return m, c.call(ctx, http.MethodGet, "/v1/members", nil, &m)
}

// RemoveMember revokes a member.
func (c *Client) RemoveMember(ctx context.Context, name farm.MemberID) error {
	return c.call(ctx, http.MethodDelete, "/v1/members/"+url.PathEscape(string(name)), nil, nil)
}

// Invite makes a one-time token.
func (c *Client) Invite(ctx context.Context, req InviteRequest) (inv Invite, err error) {
	return inv, c.call(ctx, http.MethodPost, "/v1/invites", req, &inv)
}

// ConfigStatus says which revision is live where.
func (c *Client) ConfigStatus(ctx context.Context) (s ConfigStatus, err error) {
	return s, c.call(ctx, http.MethodGet, "/v1/config", nil, &s)
}

// CheckConfig checks files, or with nil the member's configuration directory.
func (c *Client) CheckConfig(ctx context.Context, files Files) (check ConfigCheck, err error) {
	return check, c.call(ctx, http.MethodPost, "/v1/config/check", ConfigRequest{Files: files}, &check)
}

// Events is a page of the journal.
func (c *Client) Events(ctx context.Context, q Query) (p Page, err error) {
	return p, c.call(ctx, http.MethodGet, "/v1/events?"+q.values().Encode(), nil, &p)
}

// Follow yields a page of the journal and then every event as it comes, until ctx ends or the daemon stops, which is
// the last pair's error.
func (c *Client) Follow(ctx context.Context, q Query) iter.Seq2[Recorded, error] {
	return func(yield func(Recorded, error) bool) {
		v := q.values()
		v.Set("follow", "1")
		resp, err := c.do(ctx, http.MethodGet, "/v1/events?"+v.Encode(), nil)
		if err != nil {
			yield(Recorded{}, err)
			return
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			yield(Recorded{}, errorOf("events", resp))
			return
		}
		dec := json.NewDecoder(resp.Body)
		for {
			var e Recorded
			if err := dec.Decode(&e); err != nil {
				yield(Recorded{}, c.streamEnd(ctx, "events", err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Probe measures a folder. It calls progress with every round.
func (c *Client) Probe(ctx context.Context, folder farm.FolderID, req ProbeRequest, progress func(done, count int)) (ProbeResult, error) {
	resp, err := c.do(ctx, http.MethodPost, "/v1/folders/"+url.PathEscape(string(folder))+"/probe", req)
	if err != nil {
		return ProbeResult{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return ProbeResult{}, errorOf("probe", resp)
	}
	dec := json.NewDecoder(resp.Body)
	for {
		var l ProbeLine
		if err := dec.Decode(&l); err != nil {
			return ProbeResult{}, c.streamEnd(ctx, "probe", err)
		}
		switch {
		case l.Error != nil:
			return ProbeResult{}, l.Error.Err()
		case l.Result != nil:
			return *l.Result, nil
		}
		progress(l.Done, l.Count)
	}
}

func (c *Client) streamEnd(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the daemon has stopped")
	}
	return &farm.Error{Op: op, Kind: farm.Unavailable, Err: err}
}

// call sends in, if it is not nil, and decodes the answer to out, if it is not nil.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := c.do(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return errorOf("control", resp)
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswerBytes)).Decode(out); err != nil {
		return &farm.Error{Op: "control", Path: c.socket, Kind: farm.Unavailable, Err: fmt.Errorf("the daemon's answer can't be read: %w", err)}
	}
	return nil
}

func (c *Client) do(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, &farm.Error{Op: "control", Kind: farm.Internal, Err: err}
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://tandem"+path, body)
	if err != nil {
		return nil, &farm.Error{Op: "control", Kind: farm.Internal, Err: err}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	return resp, nil
}

// unreachable says why no daemon answered. Op is left empty: that is no fault of what was asked for.
func (c *Client) unreachable(ctx context.Context, err error) error {
	var dial *net.OpError
	switch {
	case errors.Is(err, fs.ErrPermission):
		return &farm.Error{Kind: farm.Denied, Next: "run this as root, or as the user that runs the daemon",
			Err: fmt.Errorf("no permission to talk to the daemon on %s", c.socket)}
	case errors.As(err, &dial) && dial.Op == "dial" && ctx.Err() == nil:
		return &farm.Error{Kind: farm.Unavailable, Next: "start it with: tandem run",
			Err: fmt.Errorf("no daemon answers on %s", c.socket)}
	case ctx.Err() != nil:
		return &farm.Error{Kind: farm.Unavailable, Err: fmt.Errorf("the daemon on %s did not answer: %w", c.socket, ctx.Err())}
	}
	return &farm.Error{Kind: farm.Unavailable, Err: fmt.Errorf("the daemon on %s did not answer: %w", c.socket, err)}
}
