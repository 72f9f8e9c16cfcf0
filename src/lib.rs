//! LakeAPM.
