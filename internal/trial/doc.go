// Package trial has the changes of a folder checked by a command before they count, for admins who keep another web
// server: "nginx -t" decides whether new files stay, and "nginx -s reload" puts them to use.
//
// # Owns
//
// When a folder is quiet enough to be checked; running the two commands, and how long they may take; what a trial has
// replaced, kept until it is decided; telling people.
//
// # Does not own
//
// Which changes wait, and putting them on disk or back (replica, behind Folder). What the commands do.
//
// # States
//
//	Rest     nothing waits
//	Settling something waits, and may not be all of it            -> Checking when nothing came for a moment
//	Checking what was changed here is on disk, and is checked     -> Rest: written and sent; or Refused
//	Trying   what others changed is installed, and then checked   -> Rest: kept; or Back
//	Back     what was there before comes back                     -> Refused
//	Refused  what was refused waits                               -> Settling at the next change, or when somebody says so
//
// # Invariants
//
// What a trial replaces is durable in the state directory before it is replaced, and stays there until the trial is
// decided: after a crash it is decided first. What was changed here and does not pass stays where it is and is not sent;
// it is not taken from whoever is typing it. One folder has one check, apply or trial at a time.
//
// # Concurrency
//
// All methods of a Trial may be called by any goroutine; Run once.
package trial
