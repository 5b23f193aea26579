'use strict';
const library = require('kv-offload');
const roundTrip = require('./round-trip.cjs');

void roundTrip(library).then(() => console.log('require: ok'));
