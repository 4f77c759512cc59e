// The version of what the native libraries export and of what their ops take; every one of them has this file compiled in.
//
// `ABI` in service/machine/native.py is the same number. Raise both with any change that older Python, or an older library, would
// not survive: a function's arguments, the layout of a struct, inputs or attributes of an op.
extern "C" __attribute__((visibility("default"))) int cmow_abi() { return 1; }
