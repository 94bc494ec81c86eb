//! The symbols of libchdb that are used, loaded once per process.

use std::ffi::{c_char, c_int, c_void};
use std::path::Path;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

/// A `chdb_connection *`: what `chdb_connect` gives and `chdb_close_conn` takes.
pub(crate) type ConnectionHandle = *mut *mut c_void;

/// `chdb_query_analysis_v1`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Analysis {
    pub(crate) struct_size: u32,
    pub(crate) statement_count: u32,
    pub(crate) flags: u32,
    pub(crate) query_class: u32,
}

pub(crate) type WithParams = unsafe extern "C" fn(
    *mut c_void,
    *const c_char,
    usize,
    *const c_char,
    usize,
    *const *const c_char,
    *const usize,
    *const *const c_char,
    *const usize,
    usize,
) -> *mut c_void;

macro_rules! symbols {
    ($($field:ident: $name:literal => $type:ty,)*) => {
        /// Function pointers into the library, which is never unloaded.
        #[derive(Clone, Copy)]
        pub(crate) struct Api { $(pub(crate) $field: $type,)* }

        impl Api {
            fn resolve(library: &Library) -> Result<Api, String> {
                Ok(Api {
                    // SAFETY: the types are those of chdb.h at the pinned version, whose digest was checked.
                    $($field: *unsafe { library.get::<$type>(concat!($name, "\0").as_bytes()) }
                        .map_err(|_| concat!("it has no ", $name).to_owned())?,)*
                })
            }
        }
    };
}

symbols! {
    connect: "chdb_connect" => unsafe extern "C" fn(c_int, *const *const c_char) -> ConnectionHandle,
    close: "chdb_close_conn" => unsafe extern "C" fn(ConnectionHandle),
    query: "chdb_query_with_params_n" => WithParams,
    classify: "chdb_classify_query_n" => unsafe extern "C" fn(*mut c_void, *const c_char, usize, *const c_char, usize, *mut Analysis) -> c_int,
    result_buffer: "chdb_result_buffer" => unsafe extern "C" fn(*mut c_void) -> *const c_char,
    result_length: "chdb_result_length" => unsafe extern "C" fn(*mut c_void) -> usize,
    result_error: "chdb_result_error" => unsafe extern "C" fn(*mut c_void) -> *const c_char,
    result_elapsed: "chdb_result_elapsed" => unsafe extern "C" fn(*mut c_void) -> f64,
    rows_read: "chdb_result_rows_read" => unsafe extern "C" fn(*mut c_void) -> u64,
    bytes_read: "chdb_result_bytes_read" => unsafe extern "C" fn(*mut c_void) -> u64,
    storage_rows_read: "chdb_result_storage_rows_read" => unsafe extern "C" fn(*mut c_void) -> u64,
    storage_bytes_read: "chdb_result_storage_bytes_read" => unsafe extern "C" fn(*mut c_void) -> u64,
    rows_written: "chdb_result_rows_written" => unsafe extern "C" fn(*mut c_void) -> u64,
    bytes_written: "chdb_result_bytes_written" => unsafe extern "C" fn(*mut c_void) -> u64,
    destroy_result: "chdb_destroy_query_result" => unsafe extern "C" fn(*mut c_void),
    insert: "chdb_stream_insert_with_params_n" => WithParams,
    append: "chdb_stream_append" => unsafe extern "C" fn(*mut c_void, *const c_char, usize) -> c_int,
    done: "chdb_stream_done" => unsafe extern "C" fn(*mut c_void) -> *mut c_void,
    cancel_insert: "chdb_stream_cancel_insert" => unsafe extern "C" fn(*mut c_void),
    insert_error: "chdb_stream_insert_error" => unsafe extern "C" fn(*mut c_void) -> *const c_char,
    destroy_insert: "chdb_destroy_insert_stream" => unsafe extern "C" fn(*mut c_void),
    set_signal_handlers: "chdb_set_signal_handlers_enabled" => unsafe extern "C" fn(c_int),
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Api")
    }
}

/// Loads the library for the rest of the process' life. The error is the dynamic loader's text.
pub(crate) fn load(path: &Path) -> Result<Api, String> {
    // SAFETY: loading runs the library's initialisers; it is the pinned file, or the one the user named.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| error.to_string())?;
    let api = Api::resolve(&library)?;
    std::mem::forget(library);
    // SAFETY: no connection is open yet, which is when this call is allowed. Its handlers would
    // take the deadly signals away from this process' own.
    unsafe { (api.set_signal_handlers)(0) };
    Ok(api)
}
