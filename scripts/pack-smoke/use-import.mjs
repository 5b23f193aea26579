import * as library from 'kv-offload';
import roundTrip from './round-trip.cjs';

await roundTrip(library);
console.log('import: ok');
