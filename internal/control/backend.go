package control

import (
	"context"

	"tandem/internal/farm"
)

// Backend is the member that the API speaks for. Errors are *farm.Error; their kind becomes the HTTP status. All
// methods may be called at once, and end soon after their context does.
type Backend interface {
	Observer
	Configurer
	Secretary
	Prober
	Roster
	Preserver
	Steerer
	Drainer
	Maintainer
	Seeder
	CertKeeper
	Fronter
}

// Observer tells how things are.
type Observer interface {
	// Status is the state now. Faults are left empty. It waits for nothing slow: no disk, no other member.
	Status(ctx context.Context) (Status, error)
}

// Configurer takes configurations. Nil files stand for the member's configuration directory as it is now.
type Configurer interface {
	// CheckConfig changes nothing. A configuration with problems is no error.
	CheckConfig(ctx context.Context, files Files) (ConfigCheck, error)
	// ApplyConfig makes the files the farm's configuration, and waits until every linked member has a verdict on it, at
	// most for a bounded time. A configuration with problems is no error, and changes nothing.
	ApplyConfig(ctx context.Context, e ConfigEdit) (ConfigApplied, error)
	// RollbackConfig is ApplyConfig of the files of a revision; without one, of the latest that says something else.
	RollbackConfig(ctx context.Context, e ConfigEdit) (ConfigApplied, error)
	// ConfigLog is the history, the latest first, at most as many revisions as limit.
	ConfigLog(ctx context.Context, limit int) ([]ConfigRevision, error)
	// ConfigRevision is a revision with its files: by the beginning of its digest, or as head, head~1 and so on, or
	// what stands in the configuration directory as "working".
	ConfigRevision(ctx context.Context, rev string) (ConfigRevision, error)
	// ExportConfig is the head, or the whole history.
	ExportConfig(ctx context.Context, history bool) (ConfigExport, error)
}

// Secretary keeps values that nobody may read.
type Secretary interface {
	// SetSecret seals the value and makes a revision that has it.
	SetSecret(ctx context.Context, name, value string) (ConfigApplied, error)
	// Secrets are those that the head sets or uses, by name.
	Secrets(ctx context.Context) ([]Secret, error)
	// ExportSecrets is the values of a revision's secrets under a passphrase, for ConfigEdit.Secrets.
	ExportSecrets(ctx context.Context, revision, passphrase string) ([]byte, error)
}

// Prober measures how long a file takes to become visible on the other members.
type Prober interface {
	// Probe writes files in the folder and removes them again. It calls sample, never concurrently, once per round and
	// member. The request is within its limits.
	Probe(ctx context.Context, folder farm.FolderID, req ProbeRequest, sample func(ProbeSample)) error
}

// Roster says who belongs to the farm.
type Roster interface {
	Invite(ctx context.Context, req InviteRequest) (Invite, error)
	// RemoveMember revokes the member: a new revision without it. NotFound if there is none of that name.
	RemoveMember(ctx context.Context, name farm.MemberID) error
	// PauseMember lets the member get and give no changes of folders, or lets it again: a new revision that says so.
	PauseMember(ctx context.Context, name farm.MemberID, on bool) error
}

// Preserver looks after what was kept outside the folders' trees, here and on the linked members.
type Preserver interface {
	// Conflicts lists what matches, the newest first. A beginning of an id that fits none is NotFound, one that fits several
	// is Invalid.
	Conflicts(ctx context.Context, q ConflictQuery) (Conflicts, error)
	DiffConflict(ctx context.Context, req DiffRequest) (ConflictDiff, error)
	// RestoreConflicts calls progress now and then, never concurrently.
	RestoreConflicts(ctx context.Context, req RestoreRequest, progress func(done, count int)) (RestoreResult, error)
	DropConflicts(ctx context.Context, q ConflictQuery) (Dropped, error)
}
