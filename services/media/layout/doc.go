// Package layout decides what a leg is shown: who has which pane, where the panes are, and what is written over them.
//
// Decisions are made in two steps, both pure functions, so that a hundred viewers cost little more than one. [Seat] puts
// the participants of a conference into the seats of a layout, once for all who chose that layout; it gets the seats of
// before and changes as few as it can, which is why nobody's picture jumps about when somebody coughs. [Show] makes of
// that the [Scene] of one viewer, whose own picture may be left out, at the size of one canvas. Most viewers of a large
// conference are in no pane: they all have the same scene, and the [Key] of a scene says which viewers can share one
// composed and encoded picture.
//
// Seats are given by these rules, the first that tells two participants apart decides: pinned by the viewer's side, higher
// importance, a camera that is on, having spoken later, having joined earlier. Whoever is visible stays where he is; a
// new speaker takes the main pane by changing places with whoever is there; a speaker without a pane takes that of the
// one who has been silent for longest. A pane that changed is left alone for [PaneStays], the main pane for [MainStays].
// Participants without video have no pane, they are only counted.
//
// Nothing here keeps state, draws, or knows the size of a frame; a crash can lose nothing. Layout names and pane placement
// follow the API reference of the guide (defaultLayout, panePlacementHighestImportance, panePlacementSelfPaneMode).
package layout
