package control

import (
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// ConfigStatus says which revision is live where (GET /v1/config).
type ConfigStatus struct {
	Revision string        `json:"revision"` // digest of what is live here; empty: none yet
	Wanted   string        `json:"wanted"`   // digest of what should be live; differs while it is prepared or when it was refused
	Author   farm.MemberID `json:"author"`   // of the live revision
	Time     *time.Time    `json:"time,omitempty"`
	Message  string        `json:"message,omitempty"`
	Faults   config.Faults `json:"faults"` // of what stands in the configuration directory, when it was refused

	Trial   *ConfigTrial        `json:"trial,omitempty"` // that is going on
	Edits   []config.FileChange `json:"edits,omitempty"` // in the configuration directory, that wait for an apply
	Members []ConfigVerdict     `json:"members"`         // every member, this one too
}

// ConfigVerdict is how one member fares with the configuration.
type ConfigVerdict struct {
	Member   farm.MemberID     `json:"member"`
	Revision string            `json:"revision"`       // live there, as last heard
	Live     bool              `json:"live"`           // it runs what this member wants, as last heard
	Away     bool              `json:"away,omitempty"` // nobody that this member is linked with hears of it
	Faults   []string          `json:"faults,omitempty"`
	Sites    map[string]string `json:"sites,omitempty"` // site file to why it was refused there
	Since    *time.Time        `json:"since,omitempty"` // when the revision became live there; nil: it does not say
	Edits    int               `json:"edits,omitempty"` // files in its configuration directory that wait for an apply
}

// Files is a configuration as it is typed: slash-separated name relative to the configuration directory, to content.
type Files map[string][]byte

// ConfigCheck is the verdict on a configuration (POST /v1/config/check).
type ConfigCheck struct {
	OK       bool          `json:"ok"`
	Revision string        `json:"revision"` // digest that these files have as a revision, when OK
	Faults   config.Faults `json:"faults"`   // warnings too
}

// ConfigRequest is the body of /v1/config/check.
type ConfigRequest struct {
	Files Files `json:"files,omitempty"` // nil: what stands in the member's configuration directory now
}

// ConfigApplied is what came of applying a configuration (POST /v1/config/apply). When the check is not OK nothing has
// changed anywhere.
type ConfigApplied struct {
	Check   ConfigCheck       `json:"check"`
	Changed bool              `json:"changed"`         // false: it was live already, or nothing was to be done
	Members []ConfigVerdict   `json:"members"`         // after waiting, for a bounded time, until all linked members had a verdict
	Trial   *ConfigTrial      `json:"trial,omitempty"` // that was begun, or ended by a rollback
	Diff    []config.FileDiff `json:"diff,omitempty"`  // of a dry run: what would change
	Kept    []farm.MemberID   `json:"kept,omitempty"`  // members that stay as they are, whatever the files say
}

// InviteRequest is the body of POST /v1/invites.
type InviteRequest struct {
	Name   farm.MemberID `json:"name,omitempty"` // the only name that may join with it; empty: any free one
	Roles  []farm.Role   `json:"roles"`
	TTLSec int64         `json:"ttl_seconds"`
}

// Invite is a one-time token.
type Invite struct {
	Token   string        `json:"token"`
	Name    farm.MemberID `json:"name,omitempty"`
	Roles   []farm.Role   `json:"roles"`
	Expires time.Time     `json:"expires"`
}

// Limits of a probe.
const (
	MaxProbeCount     = 10_000
	MaxProbeSizeBytes = 64 << 20
)

// ProbeRequest is the body of POST /v1/folders/{id}/probe.
type ProbeRequest struct {
	Count     int `json:"count"`      // files to write, one after the other
	SizeBytes int `json:"size_bytes"` // of each
}

// ProbeSample is one file's way to one member: from its close here to its being visible there.
type ProbeSample struct {
	Round  int // from 0
	Member farm.MemberID
	Took   time.Duration
	Err    error // why it is not known to have arrived; Took is then without meaning
}

// ProbeLine is one line of the answer: progress, and in the last line the result or the error.
type ProbeLine struct {
	Done   int          `json:"done"` // rounds
	Count  int          `json:"count"`
	Result *ProbeResult `json:"result,omitempty"`
	Error  *ErrorBody   `json:"error,omitempty"`
}

// ProbeResult is what a probe measured.
type ProbeResult struct {
	Folder    farm.FolderID `json:"folder"`
	Count     int           `json:"count"`
	SizeBytes int           `json:"size_bytes"`
	Targets   []ProbeTarget `json:"targets"`
}

// ProbeTarget is what a probe measured to one member, in milliseconds from close to visible.
type ProbeTarget struct {
	Member  farm.MemberID `json:"member"`
	Arrived int           `json:"arrived"`
	Lost    int           `json:"lost"` // not known to have arrived
	P50MS   float64       `json:"p50_ms"`
	P95MS   float64       `json:"p95_ms"`
	P99MS   float64       `json:"p99_ms"`
	MaxMS   float64       `json:"max_ms"`
	Problem string        `json:"problem,omitempty"` // of the latest that was lost
}
