package config

import (
	"net"
	"net/netip"
	"slices"
	"time"

	"tandem/internal/farm"
)

// FarmFile is the name of the file that describes the farm; MemberFileName that of the one file that is not shared.
const (
	FarmFile       = "farm.toml"
	MemberFileName = "member.toml"
)

// Config is what one revision says. It is immutable.
//
// The struct tags below are the schema of farm.toml: "toml" is the key, "default" the value when the key is missing (in
// TOML), "values" what a text may be, "doc" the line in the reference. A key that is "required" has no default.
type Config struct {
	Revision farm.Digest // zero while the files are no revision yet
	Farm     Farm
	Members  []Member // sorted by name
	Folders  []Folder // sorted by name; not those of Tandem's own
	Edge     Edge
	Events   Events

	Certificates Certificates
	ACME         ACME
	Maintenance  []Maintenance     // sorted by site
	Sites        []Site            // sorted by file
	Secrets      map[string]string // sealed values by name

	secretAt map[string]place // where farm.toml uses secrets, by name
}

// Farm is the table [farm].
type Farm struct {
	Name string `toml:"name" default:"\"farm\"" doc:"what people call this farm; shown in status and logs"`

	AutoCommit bool `toml:"auto_commit" default:"true" doc:"an edit that is saved in the configuration directory of any member goes live by itself once it checks; false: it waits there for tandem config apply, see [configuration](configuration.md#edits-that-wait)"`

	EvictAfter time.Duration `toml:"evict_after" default:"\"60d\"" doc:"a member that has not been heard of for so long is not waited for any more: deletions are forgotten, and when it comes back it is seeded like one that joins; see [joining](joining.md#a-member-that-was-away-for-long). 0: never"`
}

// Member is a table [member.NAME].
type Member struct {
	Name        farm.MemberID     `toml:"-"`
	Address     string            `toml:"address,required" doc:"host and port at which the other members reach it; the port is 7443 unless its member.toml says otherwise" example:"\"192.0.2.11:7443\""`
	Roles       []farm.Role       `toml:"roles" default:"[\"node\"]" values:"node|edge" doc:"what it does: a node holds the folders and serves the sites, an edge takes visitors and balances them over the nodes"`
	Key         string            `toml:"key,required" doc:"fingerprint of its key; remove the table or change the key to revoke the member" example:"\"sha256:4f0c...\""`
	Weight      int               `toml:"weight" default:"1" min:"1" max:"1000" doc:"its share of visitors, relative to the other nodes"`
	Spare       bool              `toml:"spare" default:"false" doc:"it gets visitors only when no other node is fit"`
	Links       []farm.MemberID   `toml:"links" doc:"members with which it holds a session; without this key all. Changes travel through members where two are not linked, see topology.md" example:"[\"hub\"]"`
	Bandwidth   Rate              `toml:"bandwidth" default:"\"unlimited\"" doc:"the most that is sent to it by each of the others, and by it to each of them; small changes go first" example:"\"20 Mbit/s\""`
	BandwidthAt []Hours           `toml:"bandwidth_at,orone" doc:"other limits at times of the week, in the sender's time zone; the first that fits counts" example:"[\"mon-fri 08:00-18:00 5 Mbit/s\"]"`
	Paused      bool              `toml:"paused" default:"false" doc:"it gets no changes of the folders and gives none until this is taken out; sites are served on, and the configuration still reaches it (tandem member pause)"`
	Labels      map[string]string `toml:"labels" doc:"values of your own, for {member.label.NAME} in site files" example:"{ rack = \"a\" }"`
}

// Host is the address without its port.
func (m Member) Host() string {
	host, _, err := net.SplitHostPort(m.Address)
	if err != nil {
		return m.Address
	}
	return host
}

// Has tells whether the member has the role.
func (m Member) Has(role farm.Role) bool {
	for _, r := range m.Roles {
		if r == role {
			return true
		}
	}
	return false
}

// Folder is a table [folder.NAME].
type Folder struct {
	Name     farm.FolderID   `toml:"-"`
	Path     string          `toml:"path,required" doc:"absolute path of the directory; a member may have it elsewhere (see member.toml)" example:"\"/var/www/shop\""`
	Exclude  []string        `toml:"exclude,orone" doc:"patterns of paths that are not replicated, relative to the folder: * within a name, ** over directories; see [folders](folders.md#filters)" example:"[\"cache/**\", \"*.log\"]"`
	Include  []string        `toml:"include,orone" doc:"patterns of paths that are replicated although a pattern of exclude matches them or a directory they lie in" example:"[\"cache/keep/**\"]"`
	Defaults bool            `toml:"defaults" default:"true" doc:"leave out what is never an application's: swap and lock files of editors, .DS_Store, Thumbs.db and the like; see [folders](folders.md#what-is-left-out-by-default)"`
	MaxSize  Size            `toml:"max_size" default:"\"0\"" doc:"files above it are not replicated; 0: all are" example:"\"2GiB\""`
	ReadOnly []farm.MemberID `toml:"read_only,orone" doc:"members on which the folder is only read: what is changed there is undone and preserved" example:"[\"web3\"]"`
	From     []farm.MemberID `toml:"from,orone" doc:"members whose changes count: on all others the folder is only read; without this key all members' changes count" example:"[\"web1\"]"`
	Brake    Share           `toml:"brake" default:"\"10%\"" doc:"a scan that finds more of the folder deleted than this, and more than 100 paths, deletes nothing elsewhere until the files are back or somebody decides (tandem folder release, refuse); see [folders](folders.md#the-brake)" example:"\"off\""`
	Watch    string          `toml:"watch" default:"\"auto\"" values:"auto|fanotify|inotify|poll" doc:"how changes are noticed; auto takes the best that the system allows"`
	Audit    time.Duration   `toml:"audit" default:"\"1h\"" min:"1m" doc:"how often the whole folder is compared with the index, in case a change went unnoticed"`
	XAttrs   string          `toml:"xattrs" default:"\"user\"" values:"user|all|none" doc:"which extended attributes are replicated: user is user.* and POSIX access control lists, all adds security.* (labels, capabilities) and trusted.*"`
	SetUID   bool            `toml:"setuid" default:"false" doc:"replicate the setuid and setgid bits of files: whoever can write to the folder on one node, or is root there, then has them on all"`
	MinFree  Size            `toml:"min_free" default:"\"64MiB\"" doc:"space on the folder's disk that is left free; below it only deletions are installed, and what is to come waits; 0 for none"`
	Preserve Size            `toml:"preserve" default:"\"1GiB\"" doc:"space for preserved files: what lost a conflict, was deleted by another member, or stood in the way; deleted ones go first, then the oldest"`

	PreserveAge     time.Duration `toml:"preserve_age" default:"\"30d\"" min:"1m" doc:"how long files are preserved at most"`
	PreserveDeleted bool          `toml:"preserve_deleted" default:"true" doc:"preserve files that another member deleted"`

	Check     string        `toml:"check" doc:"command that says whether changed files are good, by its exit status; see [check and apply](check.md)" example:"\"nginx -t\""`
	Apply     string        `toml:"apply" doc:"command that puts changed files to use, when they have passed" example:"\"nginx -s reload\""`
	CheckTime time.Duration `toml:"check_timeout" default:"\"30s\"" min:"1s" doc:"how long check may take; longer counts as a refusal"`
	ApplyTime time.Duration `toml:"apply_timeout" default:"\"30s\"" min:"1s" doc:"how long apply may take"`

	Lines map[string]int `toml:"-"` // line of a pattern in farm.toml, by "exclude[0]"
}

// ReadOnlyOn tells whether the folder is only read on the member.
func (f Folder) ReadOnlyOn(m farm.MemberID) bool {
	return slices.Contains(f.ReadOnly, m) || len(f.From) > 0 && !slices.Contains(f.From, m)
}

// Edge is the table [edge]: how visitors come in.
type Edge struct {
	HTTP       []string      `toml:"http,orone" default:"[\":80\"]" doc:"addresses for HTTP; an edge skips those that are not its own"`
	HTTPS      []string      `toml:"https,orone" default:"[\":443\"]" doc:"addresses for HTTPS; an edge skips those that are not its own"`
	Policy     Policy        `toml:"policy" default:"\"round_robin\"" doc:"how a node is chosen among those that are equally fit: round_robin, least_connections, least_time, two_choices, or hash with what is hashed; see [balancing](balancing.md#policies)" example:"\"hash cookie sid\""`
	MaxPerNode int           `toml:"max_per_node" default:"512" min:"1" doc:"requests in flight to one node at most; more wait"`
	MaxQueue   int           `toml:"max_queue" default:"1024" min:"0" doc:"requests that wait for one node at most; more are answered with status 503"`
	MaxBacklog int           `toml:"max_backlog" default:"10000" min:"0" doc:"a node with more paths of a folder that wait to be installed gets visitors only when no other node is fit; 0: however many wait"`
	AnswerTime time.Duration `toml:"answer_time" default:"\"1m\"" min:"1s" doc:"how long a node may take to begin its answer"`
	KeepBody   Size          `toml:"keep_body" default:"\"64KiB\"" doc:"a body of a request up to this size is read before a node is chosen, so that a slow visitor costs no node a connection and the request can be sent to another node; at most 64MiB"`
	RetryTime  time.Duration `toml:"retry_time" default:"\"10s\"" doc:"after its beginning in which a request may be tried again, if it may at all"`
	Deadline   time.Duration `toml:"deadline" default:"\"0s\"" doc:"after its beginning in which the answer to a request has begun, whatever was tried; else it is given up with status 504. 0: answer_time alone bounds it"`
	SlowStart  time.Duration `toml:"slow_start" default:"\"10s\"" doc:"for how long the share of a node grows after it has come up; 0: it has all of its share at once"`
	HideNode   bool          `toml:"hide_node" default:"false" doc:"do not name the node in the header Tandem-Node"`

	VirtualAddress []string `toml:"virtual_address,orone" doc:"addresses that move between the edges, with the length of their prefix; keepalived moves them, see tandem export keepalived" example:"\"192.0.2.10/24\""`

	MaxHeader      Size          `toml:"max_header" default:"\"64KiB\"" doc:"of a request; a larger one is answered with status 431; see [limits](edge-guard.md#limits)"`
	MaxBody        Size          `toml:"max_body" default:"\"0\"" doc:"of a request, where its site does not say; a larger one is answered with status 413, before a node sees it if its length is known. 0: any"`
	HeaderTime     time.Duration `toml:"header_time" default:"\"30s\"" min:"1s" doc:"how long a visitor may take to send a request's header, and to shake hands"`
	IdleTime       time.Duration `toml:"idle_time" default:"\"5m\"" min:"1s" doc:"how long a visitor's connection may wait for another request"`
	StallTime      time.Duration `toml:"stall_time" default:"\"1m\"" min:"1s" doc:"how long a visitor may take nothing of an answer, or send less than min_upload of a body, until it is cut off (after twice the time at most)"`
	MinUpload      Size          `toml:"min_upload" default:"\"1KiB\"" doc:"of a body that a visitor must send in stall_time; 0: anything"`
	MaxConnections int           `toml:"max_connections" default:"10000" min:"0" doc:"of visitors to one edge; beyond it idle ones are closed, and new ones turned away. 0: any number"`
	MaxPerAddress  int           `toml:"max_per_address" default:"256" min:"0" doc:"connections of one address, and requests in flight by HTTP/2 and 3; not for trusted_proxies and proxy_protocol_from. 0: any number"`

	Allow          []netip.Prefix `toml:"allow,orone" doc:"addresses and networks that may visit; without this key all; the others are answered with status 403" example:"[\"192.0.2.0/24\", \"2001:db8::/32\"]"`
	Deny           []netip.Prefix `toml:"deny,orone" doc:"addresses and networks that may not visit, whatever allow says" example:"[\"203.0.113.9\"]"`
	TrustedProxies []netip.Prefix `toml:"trusted_proxies,orone" doc:"proxies whose X-Forwarded-For, X-Forwarded-Proto, Forwarded and X-Request-Id are believed; see [proxies before an edge](edge-guard.md#proxies-before-an-edge)" example:"[\"10.0.0.0/8\"]"`
	ProxyProtocol  []netip.Prefix `toml:"proxy_protocol_from,orone" doc:"addresses whose connections begin with a PROXY header, version 1 or 2, and must; it is believed. For the sites' own bindings too" example:"[\"192.0.2.4\"]"`

	AccessLog       string        `toml:"access_log" doc:"file for a line about each request to an edge; it may hold {member.name}; see [access log](edge-guard.md#access-log)" example:"\"/var/log/tandem/access.log\""`
	AccessLogFormat string        `toml:"access_log_format" default:"\"combined\"" values:"combined|json|w3c" doc:"of its lines"`
	AccessLogSize   Size          `toml:"access_log_size" default:"\"100MiB\"" doc:"at which a new file is begun"`
	AccessLogAge    time.Duration `toml:"access_log_age" default:"\"24h\"" min:"1m" doc:"at which a new file is begun"`
	AccessLogKeep   int           `toml:"access_log_keep" default:"14" min:"1" doc:"old files that are kept, compressed"`
}

// Certificates is the table [certificates].
type Certificates struct {
	Password string `toml:"password" secret:"yes" doc:"password of the PFX files in certs/; one that is called HOST.pfx.pass, beside the file, comes first; may be a [secret](secrets.md)" example:"\"{secret.pfx-password}\""`
}

// ACME is the table [acme].
type ACME struct {
	Agree      bool            `toml:"agree" default:"false" doc:"you agree to the terms of the authority: certificates are ordered for all hosts of sites with HTTPS that have none in certs/; see [certificates](certificates.md#acme)"`
	Email      string          `toml:"email" doc:"where the authority may reach you" example:"\"admin@example.com\""`
	Directory  string          `toml:"directory" default:"\"https://acme-v02.api.letsencrypt.org/directory\"" doc:"the authority's ACME directory"`
	Root       string          `toml:"root" doc:"certificates that sign the authority's own HTTPS, if the system does not know them: PEM, or the path of a file that all members have" example:"\"/etc/ssl/our-ca.pem\""`
	Challenges []string        `toml:"challenges,orone" default:"[\"http-01\", \"tls-alpn-01\"]" values:"http-01|tls-alpn-01" doc:"how hosts are proven besides dns_hook: on port 80, on port 443"`
	DNSHook    []string        `toml:"dns_hook,orone" doc:"command that sets DNS records, for dns-01 and with it for wildcards; called with: set NAME VALUE, and: clear NAME VALUE" example:"[\"/etc/tandem/dns-hook\"]"`
	DNSWait    time.Duration   `toml:"dns_wait" default:"\"30s\"" doc:"how long a record takes until the authority sees it"`
	Members    []farm.MemberID `toml:"members,orone" doc:"members that may order; without this key all. One does, the next one if it fails" example:"[\"edge1\"]"`
	KeyID      string          `toml:"key_id" doc:"of an external account, for authorities that want one"`
	MACKey     string          `toml:"mac_key" secret:"yes" doc:"the external account's key, as the authority gives it (base64url); may be a [secret](secrets.md)"`
}

// Events is the table [events].
type Events struct {
	Keep int `toml:"keep" default:"10000" min:"100" max:"1000000" doc:"events that each member keeps; the oldest go first"`
}

// Site is one file of the directory sites: a web site in the Caddyfile language.
type Site struct {
	File   string // "sites/shop.caddy"
	Source string
}

// farmFile is the shape of farm.toml.
type farmFile struct {
	Farm   Farm              `toml:"farm" doc:"the farm as a whole"`
	Member map[string]Member `toml:"member" doc:"a server in the farm, by the name in its certificate; written when it joins"`
	Folder map[string]Folder `toml:"folder" doc:"a directory tree that every node holds a copy of"`
	Edge   Edge              `toml:"edge" doc:"how visitors come in; for members with the role edge"`
	Events Events            `toml:"events" doc:"the journal of what happened"`

	Certificates Certificates `toml:"certificates" doc:"the certificate store; see [certificates](certificates.md)"`
	ACME         ACME         `toml:"acme" doc:"certificates that the farm orders itself; see [certificates](certificates.md#acme)"`

	Maintenance map[string]Maintenance `toml:"maintenance" doc:"a site that the edges answer for themselves, by the name of its file without .caddy; \"*\" is all sites. Written by tandem maintenance, see [balancing](balancing.md#maintenance)"`
}

// Member is the member of that name.
func (c *Config) Member(name farm.MemberID) (Member, bool) {
	for _, m := range c.Members {
		if m.Name == name {
			return m, true
		}
	}
	return Member{}, false
}

// With is the members that have the role, sorted by name.
func (c *Config) With(role farm.Role) []Member {
	var with []Member
	for _, m := range c.Members {
		if m.Has(role) {
			with = append(with, m)
		}
	}
	return with
}

// Folder is the folder of that name.
func (c *Config) Folder(name farm.FolderID) (Folder, bool) {
	for _, f := range c.Folders {
		if f.Name == name {
			return f, true
		}
	}
	return Folder{}, false
}
