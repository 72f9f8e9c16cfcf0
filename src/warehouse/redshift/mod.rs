//! Amazon Redshift: provisioned, Multi-AZ and Serverless.

pub mod dialect;
